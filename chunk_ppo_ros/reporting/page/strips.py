"""Shows episodes chunk by chunk: what the policy saw, and the value, reward and log-probability of each chunk."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.chunk_sample.facts import ChunkFacts, ChunkSample, EpisodeStrip
from chunk_ppo_ros.reporting.page.html import Html, data_uri, joined, tag

_QUALITY = 85


def strips(sample: ChunkSample) -> Html:
    """Returns the newest solved episode and the newest other one. Where one is missing, it says so."""
    missing = "There is no {} episode that lies as a whole among the chunks of this sample."
    parts = [
        _strip(sample.success) if sample.success else tag("p", missing.format("solved"), class_="empty"),
        _strip(sample.failure) if sample.failure else tag("p", missing.format("unsolved"), class_="empty"),
    ]
    note = (
        "Each picture is what the cameras saw before a chunk. V is the value that the policy expected, r the reward of "
        "the chunk, log p its log-probability in nats."
    )
    return joined([tag("p", note, class_="note"), *parts])


def _strip(strip: EpisodeStrip) -> Html:
    first, last = strip.chunks[0], strip.chunks[-1]
    how = "solved" if strip.success else "not solved"
    shown = f", of which {len(strip.chunks)} are shown" if len(strip.chunks) < strip.num_chunks else ""
    prompt = f", prompt “{strip.prompt}”" if strip.prompt else ""
    title = f"Episode {last.episode}, {how}: {count_of(strip.num_chunks, 'chunk')}{shown}{prompt}"
    versions = sorted({first.policy_version, last.policy_version})
    by = f"Sampled by policy version {' to '.join(map(str, versions))}."
    steps = [_step(facts, images) for facts, images in zip(strip.chunks, strip.images, strict=True)]
    return joined([tag("h3", title), tag("p", by, class_="note"), tag("div", *steps, class_="strip")])


def _step(facts: ChunkFacts, images: np.ndarray) -> Html:
    """Returns the pictures of all cameras, one below the other, and the numbers of the chunk."""
    stacked = np.concatenate(list(images), axis=0)
    height, width = stacked.shape[:2]
    picture = tag_image(stacked, f"cameras before chunk {facts.chunk}", width=width, height=height)
    lines: list[object] = [tag("strong", f"chunk {facts.chunk}"), f"V {facts.value:.3f}", f"r {facts.reward:.3f}"]
    lines.append("driven by a human" if facts.human_driven else f"log p {facts.log_prob:.1f}")
    lines.append(count_of(facts.num_steps, "step"))
    if facts.num_clamped_steps:
        lines.append(f"{facts.num_clamped_steps} limited")
    lines += [tag("strong", "solved")] if facts.success else ["ended"] if facts.ends_episode else []
    return tag("div", picture, *(tag("div", line) for line in lines), class_="step")


def tag_image(image: np.ndarray, text: str, *, width: int, height: int) -> Html:
    """Returns an element that holds an image.

    Args:
        image: uint8 [h, w, 3], RGB.
        text: what it shows, for those who cannot see it.
        width: width of the element, pixels.
        height: height of the element, pixels.
    """
    return Html(tag("img", src=jpeg_uri(image), alt=text, width=width, height=height).removesuffix("</img>"))


def jpeg_uri(image: np.ndarray) -> str:
    """Returns an image, uint8 [h, w, 3], RGB, as an address that holds it as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=_QUALITY)
    return data_uri(buffer.getvalue(), "image/jpeg")
