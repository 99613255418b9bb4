"""Counts the tokens that recorded chunks need, and the actions that are clipped, before any image is read.

Chunks are made from the episodes a few at a time.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from chunk_ppo_ros.agent.restore import load_tokenizer
from chunk_ppo_ros.agent.run_start.tokenizer_fitting import fit
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings.verdicts import DataFinding, Verdict, blocking, fine, refuse
from chunk_ppo_ros.core.prompts.quotation import quoted
from chunk_ppo_ros.data.checks.dimensions import names_of
from chunk_ppo_ros.data.episode import Episode, chunks_at, seen_starts
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.tokenization.normalization import clip_actions
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import prompt_text
from chunk_ppo_ros.model.tokenization.token_ids import FORCED_TAIL

BLOCK = 256
"""The number of chunks that are in memory at once."""

BEGIN_TOKENS = 1
"""The number of tokens before the text of a prompt."""


@dataclasses.dataclass(frozen=True)
class Motions:
    """The chunks of episodes without images, to which tokenizers are fitted.

    Attributes:
        state: float32 [N, S], the state at the start of each chunk.
        actions: float32 [N, H, D], absolute joint targets.
        prompts: the tasks in words.
    """

    state: np.ndarray
    actions: np.ndarray
    prompts: tuple[str, ...]


MAX_CLIPPED_OF_ONE = 0.5
"""The largest share of one dimension that may be clipped, where `recordings.max_clipped_share` is not larger."""


@dataclasses.dataclass(frozen=True)
class TokenCounts:
    """What the chunks of episodes need.

    Attributes:
        num_chunks: the number N of chunks.
        lengths: the number of chunks by their number of FAST tokens.
        clipped: int [D], how many values of each dimension are beyond model.action_limit.
        num_values: how many values each dimension has.
        unencodable: why chunks cannot be written as tokens, with the name of the first such episode.
        num_unencodable: how many chunks cannot be written as tokens.
        prompt_tokens: the largest number of tokens of a prompt with a state.
        longest_prompt: the prompt that needs them.
        prompt_problem: why a prompt cannot be written as tokens, or empty.
    """

    num_chunks: int
    lengths: dict[int, int]
    clipped: np.ndarray
    num_values: int
    unencodable: str
    num_unencodable: int
    prompt_tokens: int
    longest_prompt: str
    prompt_problem: str


def motions_of(episodes: Sequence[Episode], config: TrainConfig) -> Motions:
    """Returns all chunks of episodes that an imitation would take."""
    horizon, stride = config.model.action_horizon, config.pretrain.chunk_stride
    parts = [chunks_at(each, seen_starts(each, stride=stride), horizon) for each in episodes]
    return Motions(
        np.concatenate([state for state, _ in parts]),
        np.concatenate([actions for _, actions in parts]),
        tuple(episode.prompt for episode in episodes),
    )


def tokenizer_for(episodes: Sequence[Episode], config: TrainConfig, checkpoint: Checkpoint | None) -> PolicyTokenizer:
    """Returns the tokenizers of a checkpoint, or those that an imitation of the episodes from fresh weights would have.

    Raises:
        UserError: where they are missing or do not fit the model.
        ValueError: where they cannot be fitted.
    """
    if checkpoint is not None:
        return load_tokenizer(checkpoint.assets, config)
    return fit(motions_of(episodes, config), config)


def count_tokens(episodes: Sequence[Episode], config: TrainConfig, tokenizer: PolicyTokenizer) -> TokenCounts:
    """Returns what all chunks of episodes need."""
    counter = _Counter(tokenizer, config)
    for episode in episodes:
        starts = seen_starts(episode, stride=config.pretrain.chunk_stride)
        for first in range(0, len(starts), BLOCK):
            counter.add(episode, *chunks_at(episode, starts[first : first + BLOCK], config.model.action_horizon))
    return counter.counts()


def token_findings(counts: TokenCounts, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields findings about clipped actions, chunks that cannot be written, and the slots that tokens need."""
    yield _clipped(counts, config)
    if counts.num_unencodable:
        text = (
            f"{counts.num_unencodable} of {counts.num_chunks} chunks cannot be written as tokens: {counts.unencodable}"
        )
        yield blocking("unencodable", Verdict.REFUSE, text, "take other tokenizers by --tokenizer_dir, or fit them")
    if counts.prompt_problem:
        yield blocking("prompt_tokens", Verdict.REFUSE, counts.prompt_problem, "write another --prompt")
    if counts.lengths:
        yield _slots(counts, config)


def _clipped(counts: TokenCounts, config: TrainConfig) -> DataFinding:
    shares = counts.clipped / max(counts.num_values, 1)
    share, limit = float(shares.mean()), config.recordings.max_clipped_share
    names = names_of(len(shares))
    worst = [f"{names[index]} {shares[index]:.1%}" for index in np.argsort(-shares)[:5] if shares[index] > 0]
    text = f"{share:.2%} of the actions are beyond model.action_limit ({config.model.action_limit:g}) and are clipped"
    text += f"; most: {', '.join(worst)}" if worst else ""
    values = {"share": share, "by_dimension": {name: float(each) for name, each in zip(names, shares, strict=True)}}
    if share <= limit and max(shares) <= max(limit, MAX_CLIPPED_OF_ONE):
        return fine("clipped_actions", text, **values)
    advice = (
        f"at most {limit:.0%} of all (--max_clipped_share) and {MAX_CLIPPED_OF_ONE:.0%} of one dimension may be: "
        "compute norm_stats of these recordings by norm-stats, or check their units"
    )
    return refuse("clipped_actions", text, advice, **values)


def _slots(counts: TokenCounts, config: TrainConfig) -> DataFinding:
    model = config.model
    action_tokens = max(counts.lengths) + FORCED_TAIL
    slots = max(action_tokens, model.max_action_tokens)
    needed_len = max(counts.prompt_tokens + slots, model.max_token_len)
    total = sum(counts.lengths.values())
    mean = sum(length * number for length, number in counts.lengths.items()) / total
    text = (
        f"all {counts.num_chunks} chunks need at most {action_tokens} action tokens (mean {mean + FORCED_TAIL:.1f}; "
        f"model.max_action_tokens is {model.max_action_tokens}), and the longest prompt with a state needs "
        f"{counts.prompt_tokens} ({model.max_prompt_len} are left of model.max_token_len {model.max_token_len})"
    )
    values = {"action_tokens": action_tokens, "prompt_tokens": counts.prompt_tokens, "token_len": needed_len}
    if action_tokens <= model.max_action_tokens and counts.prompt_tokens <= model.max_prompt_len:
        return fine("tokens", text, **values)
    flags = f"set --max_action_tokens {slots} --max_token_len {needed_len}"
    return blocking("tokens", Verdict.REFUSE, text, flags, **values)


class _Counter:
    """Adds up what chunks need."""

    def __init__(self, tokenizer: PolicyTokenizer, config: TrainConfig) -> None:
        self.tokenizer = tokenizer
        self.limit = config.model.action_limit
        self.lengths: collections.Counter[int] = collections.Counter()
        self.clipped = np.zeros(config.model.action_dim, np.int64)
        self.num_values = self.num_chunks = self.num_unencodable = self.prompt_tokens = 0
        self.unencodable = self.longest_prompt = self.prompt_problem = ""

    def add(self, episode: Episode, states: np.ndarray, actions: np.ndarray) -> None:
        """Adds chunks of an episode: states [N, S] and actions [N, H, D]."""
        normalized = self.tokenizer.normalize_actions(actions, states)
        self.clipped += np.count_nonzero(np.abs(normalized) > self.limit, axis=(0, 1))
        self.num_values += normalized.shape[0] * normalized.shape[1]
        for chunk in clip_actions(normalized, self.limit)[0]:
            self._add_chunk(episode, chunk)
        self._add_prompts(episode, states)

    def counts(self) -> TokenCounts:
        """Returns what was added up."""
        return TokenCounts(
            self.num_chunks,
            dict(self.lengths),
            self.clipped,
            self.num_values,
            self.unencodable,
            self.num_unencodable,
            self.prompt_tokens,
            self.longest_prompt,
            self.prompt_problem,
        )

    def _add_chunk(self, episode: Episode, chunk: np.ndarray) -> None:
        self.num_chunks += 1
        try:
            self.lengths[len(self.tokenizer.fast.encode(chunk))] += 1
        except ValueError as error:
            self.num_unencodable += 1
            self.unencodable = self.unencodable or f"{error}, in {episode.source}"

    def _add_prompts(self, episode: Episode, states: np.ndarray) -> None:
        if not episode.prompt or self.prompt_problem:
            return
        encoded = self.tokenizer.transforms.encode_state(states)
        for state in self.tokenizer.norm_stats.state.normalize(encoded):
            try:
                pieces = self.tokenizer.prompt.pieces(prompt_text(episode.prompt, state))
            except ValueError as error:
                self.prompt_problem = f"the prompt {quoted(episode.prompt)} of {episode.source} cannot be used: {error}"
                return
            if len(pieces) + BEGIN_TOKENS > self.prompt_tokens:
                self.prompt_tokens, self.longest_prompt = len(pieces) + BEGIN_TOKENS, episode.prompt
