"""The parsers of the commands that compare checkpoints, or make them of use to other programs."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser, add_config_flags, command_line

ASSET_ID = "trossen"
"""The name that openpi gives to the statistics of ALOHA robots."""

EXPORT_DTYPES = ("float32", "bfloat16")
"""The dtypes that an export can be written in. The first is the default."""

SERVER_HOST, SERVER_PORT = "127.0.0.1", 8000
"""The address that `serve` listens on by default: this machine alone, and openpi's port."""

REFERENCE_FOLDER = (
    "a folder with openpi's numbers: config.json (sizes), inputs.npz, outputs.npz and the checkpoint that config.json "
    "names; docs/model.md says what each file has"
)
"""The text that says what `parity` needs, for its help and its errors."""


def export_parser() -> FlagParser:
    """Returns the parser of `export`."""
    parser = FlagParser(
        prog=command_line("export"),
        description=(
            "Writes the actor of a checkpoint as an openpi checkpoint, with params/ and norm_stats in assets/.\n\n"
            "The tokenizers are written beside norm_stats.json. openpi itself always takes the published tokenizers, "
            "so it can only serve a policy that was trained with them."
        ),
        examples=((command_line("export checkpoints/mine/step_26 exported/mine"), "openpi loads exported/mine"),),
    )
    parser.add_argument("checkpoint", type=Path, help="a step_<N> folder, or an openpi checkpoint")
    parser.add_argument("directory", type=Path, help="the openpi checkpoint to write, which must not exist")
    parser.add_argument("--asset_id", default=ASSET_ID, help=f"the folder of norm_stats.json below assets ({ASSET_ID})")
    parser.add_argument("--from_asset_id", default="", help="the asset id to read (default: the only one there is)")
    parser.add_argument(
        "--dtype", choices=EXPORT_DTYPES, default=EXPORT_DTYPES[0], help=f"the dtype to write ({EXPORT_DTYPES[0]})"
    )
    parser.add_argument(
        "--keep_adapters", action="store_true", help="leave low-rank adapters as they are instead of merging them"
    )
    return parser


def serve_parser() -> FlagParser:
    """Returns the parser of `serve`."""
    parser = FlagParser(
        prog=command_line("serve"),
        description=(
            "Serves a checkpoint over openpi's websocket protocol, so that openpi's client gets chunks from it. Ctrl-C "
            "ends it.\n\n"
            "The settings are those of the run that wrote the checkpoint, unless a flag says otherwise. States and "
            "actions on the wire are ALOHA's, as openpi's client has them. The server knows no authentication: by "
            "default only this machine reaches it."
        ),
        examples=(
            (command_line("serve checkpoints/mine/step_26"), f"listens on ws://{SERVER_HOST}:{SERVER_PORT}"),
            (command_line("serve checkpoints/mine/step_26 --host 0.0.0.0"), "lets every machine of the network in"),
        ),
        first=("--host", "--port", "--decoding", "--prompt"),
    )
    parser.add_argument("checkpoint", type=Path, help="a step_<N> folder or an openpi checkpoint with tokenizers")
    parser.add_argument(
        "--host", default=SERVER_HOST, help=f"address to listen on; 0.0.0.0 lets every machine in ({SERVER_HOST})"
    )
    parser.add_argument(
        "--port", type=int, default=SERVER_PORT, help=f"port to listen on; 0 takes a free one ({SERVER_PORT})"
    )
    add_config_flags(parser, preset="debug", from_checkpoint=True)
    return parser


def positions_parser() -> FlagParser:
    """Returns the parser of `positions`."""
    parser = FlagParser(
        prog=command_line("positions"),
        description=(
            "Finds which position rule a checkpoint prefers: the policy's, as in openpi's training, or that of "
            "openpi's sampler.\n\n"
            "Both rules score the same demonstrated chunks, each token given the tokens before it. The rule with the "
            "higher likelihood is the one under which the checkpoint was trained."
        ),
        examples=(
            (
                command_line("positions checkpoints/mine/step_26 --episodes recordings/cup"),
                "compares the rules on your recordings",
            ),
        ),
        first=("--episodes", "--num_demonstrations", "--config"),
    )
    parser.add_argument("checkpoint", type=Path, help="a step_<N> folder or an openpi checkpoint with tokenizers")
    parser.add_argument("--episodes", type=Path, help="recorded episodes; without it the simulator's demonstrations")
    add_config_flags(parser, preset="debug", from_checkpoint=True)
    return parser


def parity_parser() -> FlagParser:
    """Returns the parser of `parity`."""
    parser = FlagParser(
        prog=command_line("parity"),
        description=(
            "Compares every number of the model with reference data that openpi computed.\n\n"
            "The folder has config.json, inputs.npz, outputs.npz, an Orbax checkpoint, and perhaps "
            "outputs_bf16_params.npz. docs/model.md says what each of them has, and where an example is. The exit "
            "status is 1 where a number is beyond its tolerance, and 2 where the folder holds no such data, or not all "
            "that is needed."
        ),
        examples=((command_line("parity reference"), "prints a row for each number that is compared"),),
    )
    parser.add_argument("folder", type=Path, help=REFERENCE_FOLDER)
    parser.add_argument(
        "--allow_missing", action="store_true", help="compare what there is, where outputs.npz lacks needed arrays"
    )
    return parser
