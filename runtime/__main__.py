"""`python -m runtime model.npz inputs.npz -o outputs.npz`; `--check` runs the probes stored in the model.

`--profile` prints how long each node takes on the inputs given, or on those of the first probe; `--bench` how long a
call takes. `python -m runtime describe model.npz` prints what is computed, as formulas; `python -m runtime tune
model.npz` measures which kernels are fastest and keeps that beside the model; `python -m runtime build model.npz`
compiles it for this processor, into the user's cache, which runs use from then on.

Exit status: 0 done, 1 a probe's output is off, 2 wrong usage, 3 a file can't be used, 4 an unknown operator, 70 a bug
of ours, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from runtime.errors import FAILURES, InputError, NetError
from runtime.kernels.base import Array
from runtime.net import Net, load
from runtime.tools.files import PIXELS, read_feeds, summary, write_arrays

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m runtime") -> int:
    """Runs the command line, of a program of that name; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    commands = {
        "tune": (_tune_options, _tune),
        "describe": (_describe_options, _describe),
        "build": (_build_options, _build),
    }
    command = commands.get("".join(arguments[:1]))
    options = _options(arguments, prog) if command is None else command[0](arguments[1:])
    try:
        if command is not None:
            return command[1](options)
        net = load(
            options.model,
            accuracy=options.accuracy,
            threads=options.threads,
            plain=options.plain,
            most_bytes=options.most_bytes,
            most_steps=options.most_steps,
            most_operations=options.most_operations,
            native=not options.no_native,
            calibrate=not options.no_calibration,
        )
        if options.profile:
            return _profile(net, options.inputs)
        if options.bench:
            return _bench(net, options.inputs)
        return _check(net) if options.check else _run(net, options)
    except NetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if not str(error.name).startswith(("runtime.engine", "runtime.native")):
            raise
        folder = "/".join(str(error.name).split(".")[:2])
        print(f"error: this needs the folder {folder}, which isn't here; copy all of runtime/", file=sys.stderr)
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
        "python -m runtime tune model.npz: measures which kernels are fastest on this machine. "
        "python -m runtime build model.npz: compiles it for this machine.",
    )
    parser.add_argument("model", help="the bundle: model.npz")
    parser.add_argument(
        "inputs", nargs="?", help="an .npz with one array for each input; for the only one an .npy, or an image"
    )
    parser.add_argument("-o", "--output", help="the .npz to write; without it, a summary of each output is printed")
    parser.add_argument(
        "--pixels", choices=PIXELS, default="0..255", help="how an image's pixels are given (%(default)s)"
    )
    parser.add_argument("--check", action="store_true", help="run the probes stored in the model instead")
    parser.add_argument("--profile", action="store_true", help="print how long each node takes instead")
    parser.add_argument("--bench", action="store_true", help="print how long a call takes instead")
    _add_common(parser)
    options = parser.parse_args(arguments)
    instead = options.check + options.profile + options.bench
    if (
        instead > 1
        or (instead and options.output)
        or (options.check and options.inputs)
        or not (instead or options.inputs)
    ):
        parser.error(
            "give INPUTS and perhaps -o OUTPUT, or --check alone, or --profile or --bench, perhaps with INPUTS"
        )
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


def _build_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runtime build",
        description="Compiles a bundle with the cc of this machine, or what CC names, into the user's cache; runs of "
        "the same bundle use that. Needs ckpt2onnx, whose C code it is.",
        allow_abbrev=False,
    )
    parser.add_argument("model", help="the bundle: model.npz")
    return parser.parse_args(arguments)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="run one operator after the other, without the engine")
    parser.add_argument("--no-native", action="store_true", help="don't run by a library that was built")
    parser.add_argument("--no-calibration", action="store_true", help="don't measure this machine before the first run")
    parser.add_argument("--accuracy", choices=("standard", "strict", "fast", "plain"), default="standard")
    parser.add_argument("--threads", type=_positive, metavar="N", help="default: as suits the machine")
    _add_limits(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    for what in ("bytes", "steps", "operations"):
        parser.add_argument(f"--most-{what}", type=_positive, metavar="N", help="see runtime.load")


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
    print(net.describe(None if options.inputs is None else read_feeds(net.inputs, options.inputs)))
    return 0


def _profile(net: Net, inputs: str | None) -> int:
    from runtime.engine.profile import table

    print(table(net.profile(_feeds_or_probe(net, inputs))))
    return 0


def _feeds_or_probe(net: Net, inputs: str | None) -> Mapping[str, Array]:
    if inputs is None and not net.probes:
        raise InputError("no probes in this bundle: give INPUTS to measure with")
    return net.probes[0].inputs if inputs is None else read_feeds(net.inputs, inputs)


def _bench(net: Net, inputs: str | None) -> int:
    from runtime.engine.profile import bench

    print(bench(net.run, _feeds_or_probe(net, inputs)))
    return 0


def _tune(options: argparse.Namespace) -> int:
    from runtime.engine import tuning

    found = load(
        options.model,
        accuracy=options.accuracy,
        threads=options.threads,
        tune=True,
        calibrate=not options.no_calibration,
    )
    tuned = getattr(found.executor, "tuned", {})
    choices = tuning.saved(options.model)
    for case, kernel in sorted(choices.items()):
        new = tuned.get(case)
        gain = "" if new is None else f" {1000 * new.seconds:.3f} ms, {1000 * new.before:.3f} by {new.usual}"
        print(f"{kernel:8} {case}{gain}")
    after, before = (
        1000 * sum(times) for times in ([m.seconds for m in tuned.values()], [m.before for m in tuned.values()])
    )
    print(f"measured now: {len(tuned)}, {after:.3f} ms for each of them once, {before:.3f} before")
    print(f"choices for this machine: {len(choices)}")
    return 0


def _build(options: argparse.Namespace) -> int:
    from runtime.native.build import build

    print(f"built {build(options.model)}")
    return 0


def _run(net: Net, options: argparse.Namespace) -> int:
    outputs = net.run(read_feeds(net.inputs, options.inputs, options.pixels))
    if options.output:
        write_arrays(options.output, outputs)
    else:
        print("\n".join(summary(name, array) for name, array in outputs.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
