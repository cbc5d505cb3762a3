"""The image's entry point: serves unless told otherwise. `train` trains, and any other program is named by its path."""

import pathlib
import runpy
import sys

HERE = pathlib.Path(__file__).parent


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "serve"
    path = {"serve": HERE / "server.py", "train": HERE / "train.py"}.get(program, pathlib.Path(program))
    if not path.is_file():
        print(f"there is no {program}: say serve, train or the path of a Python program", file=sys.stderr)
        return 64
    sys.argv = sys.argv[1:] or [str(path)]
    sys.path.insert(0, str(path.parent))
    runpy.run_path(str(path), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
