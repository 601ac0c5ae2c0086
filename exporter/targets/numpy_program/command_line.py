"""What every program ends with: its inputs checked, its examples, its command line."""

from __future__ import annotations

__all__ = ["COMMAND_LINE"]

COMMAND_LINE = '''\
def given(number: int, array: np.ndarray) -> np.ndarray:
    """An input in its element type; ValueError if it has another shape than the model takes."""
    name, (dtype, sizes) = list(INPUTS.items())[number]
    array = np.asarray(array)
    fits = sizes is None or (
        array.ndim == len(sizes) and all(size in (None, found) for size, found in zip(sizes, array.shape))
    )
    if not fits or not np.can_cast(array.dtype, dtype, "same_kind"):
        raise ValueError(f"input {name}: expected {dtype} {sizes}, found {array.dtype} {array.shape}")
    return array.astype(dtype, copy=False)


def run_by_name(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by name for inputs by name."""
    missing = [name for name in INPUTS if name not in feeds]
    if missing:
        raise ValueError(f"no array for the input {missing[0]}; there are {', '.join(feeds)}")
    results = run(*(feeds[name] for name in INPUTS))
    return dict(zip(OUTPUTS, results if isinstance(results, tuple) else (results,)))


def check() -> bool:
    """Runs the stored examples; prints how far each output is off, and how far it may be."""
    good = True
    for inputs, outputs in EXAMPLES:
        with opened() as stored:
            feeds = {name: stored[member] for name, member in inputs.items()}
            expected = {name: (stored[member], limit) for name, (member, limit) in outputs.items()}
        found = run_by_name(feeds)
        for name, (array, limit) in expected.items():
            a, b = found[name].astype(np.float64), array.astype(np.float64)
            same = a.shape == b.shape and bool(np.all(np.isnan(a) == np.isnan(b)))
            off = float(np.max(np.where((a == b) | np.isnan(a), 0, np.abs(a - b)), initial=0)) if same else np.inf
            good &= off <= limit
            print(f"{name}: {off:.3g} of {limit:.3g} allowed, {'good' if off <= limit else 'OFF'}")
    if not EXAMPLES:
        print("no examples are stored with this model")
    return good


def main() -> int:
    """The command line; returns the exit status: 0 done, 1 an example is off, 2 wrong usage, 3 an unusable file."""
    import argparse
    import sys
    import zipfile
    from pathlib import Path

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("inputs", nargs="?", metavar="INPUTS.npz", help="one array for each input, by name")
    parser.add_argument("-o", "--output", metavar="OUTPUTS.npz", help="where to write the outputs")
    parser.add_argument("--check", action="store_true", help="run the examples stored with the weights instead")
    options = parser.parse_args()
    if options.check == bool(options.inputs or options.output) or bool(options.inputs) != bool(options.output):
        parser.error("give INPUTS.npz and -o OUTPUTS.npz, or --check alone")
    if options.check:
        return 0 if check() else 1
    try:
        loaded = np.load(options.inputs, allow_pickle=False)
        feeds = {next(iter(INPUTS)): loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        results = run_by_name(feeds)
        with zipfile.ZipFile(f"{options.output}.part", "w") as archive:
            for name, array in results.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
        Path(f"{options.output}.part").replace(options.output)
    except (OSError, ValueError, EOFError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
'''
