"""`python -m benchmarks NAME [NAME …]`: print the tables of benchmarks; without a name, list them."""

import argparse
import importlib
import platform
from pathlib import Path

import torch


def names() -> list[str]:
    """The benchmarks of this folder."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem[0] != "_")


def table(rows: list[dict]) -> str:
    """Rows with the same keys as a Markdown table, columns in line."""
    cells = [list(rows[0])] + [[str(value) for value in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=", ".join(names()))
    chosen = parser.parse_args().name
    for name in chosen:
        if name not in names():
            parser.error(f"name: expected one of {', '.join(names())}, got {name!r}")
    if not chosen:
        print("\n".join(names()))
        return
    torch.set_num_threads(1)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, one thread")
    for name in chosen:
        benchmark = importlib.import_module(f"{__package__}.{name}")
        print(f"\n{benchmark.__doc__.splitlines()[0]}\n\n{table(benchmark.rows())}", flush=True)


if __name__ == "__main__":
    main()
