"""`python -m runtime model.npz inputs.npz -o outputs.npz`; `--check` runs the probes stored in the model.

`--profile` prints how long each node takes on the inputs given, or on those of the first probe; `--bench` how long a
call takes. `python -m runtime describe model.npz` prints what is computed, as formulas; `python -m runtime tune
model.npz` measures which kernels are fastest and keeps that beside the model.

Exit status: 0 done, 1 a probe's output is off, 2 wrong usage, 3 a file can't be used, 4 an unknown operator, 70 a bug
of ours, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from runtime.budget import FREE_BYTES, PER_BYTE
from runtime.errors import FAILURES, InputError, NetError
from runtime.kernels.base import Array
from runtime.net import Net, load
from runtime.npy import escape, unescape

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m runtime") -> int:
    """Runs the command line, of a program of that name; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = {"tune": (_tune_options, _tune), "describe": (_describe_options, _describe)}.get("".join(arguments[:1]))
    options = _options(arguments, prog) if command is None else command[0](arguments[1:])
    try:
        if command is not None:
            return command[1](options)
        net = load(options.model, accuracy=options.accuracy, threads=options.threads, plain=options.plain)
        if options.profile:
            return _profile(net, options.inputs)
        if options.bench:
            return _bench(net, options.inputs)
        return _check(net) if options.check else _run(net, options.inputs, options.output)
    except NetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("runtime.engine"):
            raise
        print("error: this needs the folder runtime/engine, which isn't here; copy all of runtime/", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return 3
    except FAILURES as error:
        print(f"error: this is a bug of ckpt2onnx: {type(error).__name__}: {error}"[:2000], file=sys.stderr)
        return 70


def _options(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Runs a ckpt2onnx bundle with NumPy.",
        allow_abbrev=False,
        epilog="python -m runtime describe model.npz [inputs.npz]: prints what is computed, as formulas. "
        "python -m runtime tune model.npz: measures which kernels are fastest on this machine.",
    )
    parser.add_argument("model", help="the bundle: model.npz")
    parser.add_argument("inputs", nargs="?", help="an .npz with one array for each input, or an .npy for the only one")
    parser.add_argument("-o", "--output", help="the .npz to write, with one array for each output")
    parser.add_argument("--check", action="store_true", help="run the probes stored in the model instead")
    parser.add_argument("--profile", action="store_true", help="print how long each node takes instead")
    parser.add_argument("--bench", action="store_true", help="print how long a call takes instead")
    _add_common(parser)
    options = parser.parse_args(arguments)
    run = bool(options.inputs) and bool(options.output)
    alone = not options.inputs and not options.output
    if not (run or (alone and options.check) or ((options.profile or options.bench) and not options.output)) or (
        options.check + options.profile + options.bench + run != 1
    ):
        parser.error("give INPUTS and -o OUTPUT, or --check alone, or --profile or --bench with or without INPUTS")
    return options


def _tune_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runtime tune",
        description="Measures which kernels are fastest for the convolutions of a bundle.",
        allow_abbrev=False,
    )
    parser.add_argument("model", help="the bundle; the choices go to MODEL.tuning.json beside it")
    _add_common(parser)
    return parser.parse_args(arguments)


def _describe_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runtime describe",
        description="Prints the operators of a bundle as formulas, with shapes, multiply-adds and bytes.",
        allow_abbrev=False,
    )
    parser.add_argument("model", help="the bundle: model.npz")
    parser.add_argument("inputs", nargs="?", help="inputs whose sizes to describe it for; default: the first probe's")
    return parser.parse_args(arguments)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="run one operator after the other, without the engine")
    parser.add_argument("--accuracy", choices=("standard", "strict", "fast", "plain"), default="standard")
    parser.add_argument("--threads", type=_positive, metavar="N", help="default: as suits the machine")


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _check(net: Net) -> int:
    deviations = net.check()
    for found in deviations:
        verdict = "good" if found.good else "OFF"
        print(f"probe {found.probe}, {found.output}: {verdict}, {found.largest:.3g} of {found.tolerance:.3g} allowed")
    if not deviations:
        print("no probes in this bundle")
    return 0 if all(found.good for found in deviations) else 1


def _describe(options: argparse.Namespace) -> int:
    net = load(options.model, plain=True)
    print(net.describe(None if options.inputs is None else _feeds(net, options.inputs)))
    return 0


def _profile(net: Net, inputs: str | None) -> int:
    from runtime.engine.profile import table

    print(table(net.profile(_feeds_or_probe(net, inputs))))
    return 0


def _feeds_or_probe(net: Net, inputs: str | None) -> Mapping[str, Array]:
    if inputs is None and not net.probes:
        raise InputError("no probes in this bundle: give INPUTS to measure with")
    return net.probes[0].inputs if inputs is None else _feeds(net, inputs)


def _bench(net: Net, inputs: str | None) -> int:
    from runtime.engine.profile import bench

    print(bench(net.run, _feeds_or_probe(net, inputs)))
    return 0


def _tune(options: argparse.Namespace) -> int:
    from runtime.engine import tuning

    load(options.model, accuracy=options.accuracy, threads=options.threads, tune=True)
    choices = tuning.saved(options.model)
    for case, kernel in sorted(choices.items()):
        print(f"{kernel:8} {case}")
    print(f"choices for this machine: {len(choices)}")
    return 0


def _run(net: Net, inputs: str, output: str) -> int:
    _write(output, net.run(_feeds(net, inputs)))
    return 0


def _feeds(net: Net, path: str) -> dict[str, Array]:
    from zipfile import BadZipFile
    from zlib import error as ZlibError  # noqa: N812

    if not Path(path).is_file():
        raise InputError(f"{path}: {'not a regular file' if Path(path).exists() else 'no such file'}")
    with Path(path).open("rb") as file:
        if not file.read(6).startswith((b"PK", b"\x93NUMPY")):
            raise InputError(f"{path}: neither an .npz nor an .npy file; numpy.savez writes one, of the image's pixels")
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {net.inputs[0].name if net.inputs else "": found}
        with found:
            size = sum(info.file_size for info in found.zip.infolist())
            if size > FREE_BYTES + PER_BYTE * Path(path).stat().st_size:
                raise InputError(f"{path}: its arrays claim to expand to {size} bytes")
            return {unescape(name): np.asarray(found[name]) for name in found.files}
    except (*FAILURES, BadZipFile, EOFError, OSError, ZlibError) as error:
        raise InputError(f"{path}: not a readable .npz or .npy: {error}"[:2000]) from error


def _write(path: str, arrays: Mapping[str, Array]) -> None:
    """Writes an .npz beside the target and moves it there, so that the target is whole or untouched."""
    import tempfile
    import zipfile

    try:
        handle, name = tempfile.mkstemp(dir=Path(path).absolute().parent, suffix=".npz")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
                for name, array in arrays.items():
                    with archive.open(f"{escape(name)}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from error


if __name__ == "__main__":
    sys.exit(main())
