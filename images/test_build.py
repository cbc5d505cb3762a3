"""How images are made: the same bytes for the same input, locked versions, and a record of what is inside.

    python3 images/test_build.py        (Debian; seconds, and no network)
"""

import contextlib
import io
import json
import pathlib
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import build  # noqa: E402
from riglib import debian, image, python_image  # noqa: E402
from riglib.debian import Package  # noqa: E402
from riglib.util import RigError  # noqa: E402

LOCK = [Package("libssl3", "3.0.1", "aa"), Package("zlib1g", "1.2", "bb")]
NAMES = ["libssl3", "zlib1g"]
SERVED = {"libssl3": ({"3.0.1": "aa", "3.0.2": "cc"}, "3.0.2"), "zlib1g": ({"1.2": "bb"}, "1.2")}
MOVED = {**SERVED, "libssl3": ({"3.0.2": "cc"}, "3.0.2")}


def said(call):
    with contextlib.redirect_stderr(io.StringIO()) as text:
        result = call()
    return result, text.getvalue()


class Locks(unittest.TestCase):
    def test_the_locked_version_is_taken_while_it_is_served(self):
        for locked in (False, True):
            self.assertEqual(said(lambda: debian.choose(NAMES, LOCK, SERVED, locked)), (LOCK, ""))

    def test_a_version_that_is_gone_gives_way_with_a_word(self):
        chosen, words = said(lambda: debian.choose(NAMES, LOCK, MOVED, locked=False))
        self.assertEqual(chosen[0], Package("libssl3", "3.0.2", "cc"))
        self.assertIn("libssl3 3.0.1 → 3.0.2", words)
        self.assertIn("make images-lock", words)

    def test_a_release_fails_where_a_version_is_gone(self):
        with self.assertRaisesRegex(RigError, "libssl3 3.0.1 → 3.0.2.*make images-lock"):
            debian.choose(NAMES, LOCK, MOVED, locked=True)

    def test_other_content_at_the_same_version_always_fails(self):
        changed = {**SERVED, "zlib1g": ({"1.2": "evil"}, "1.2")}
        with self.assertRaisesRegex(RigError, "zlib1g 1.2: .*evil.*bb"):
            debian.choose(NAMES, LOCK, changed, locked=False)

    def test_a_lock_for_other_packages_is_told(self):
        with self.assertRaisesRegex(RigError, "zlib1g"):
            debian.choose(NAMES, LOCK[:1], SERVED, locked=False)

    def test_what_the_machine_has_is_compared(self):
        newer = [Package("libssl3", "3.0.2"), Package("zlib1g", "1.2")]
        self.assertEqual(said(lambda: debian.compare_installed(LOCK, LOCK, True))[1], "")
        self.assertIn("libssl3 3.0.1 → 3.0.2", said(lambda: debian.compare_installed(newer, LOCK, False))[1])
        with self.assertRaisesRegex(RigError, "libssl3 3.0.1 → 3.0.2"):
            debian.compare_installed(newer, LOCK, locked=True)

    def test_the_locks_name_what_the_recipes_name(self):
        self.assertEqual({p.name for p in debian.read_lock(python_image.DEB_LOCK)}, set(python_image.DEBS))
        self.assertTrue(all(len(p.sha256) == 64 for p in debian.read_lock(python_image.DEB_LOCK)))
        wheels = python_image.WHEEL_LOCK.read_text()
        for wheel in python_image.WHEELS:
            self.assertRegex(wheels, rf"{wheel} \\\n    --hash=sha256:[0-9a-f]{{64}}\n")


class Images(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        # A program of the machine stands for ours.
        self.recipe = build.Program("cat", pathlib.Path("/usr/bin"), (), packages=("tzdata",))
        self.recipe.lock = self.folder / "lock"
        self.recipe.write_lock()

    def write(self, name):
        out = self.folder / name
        self.recipe.write(out, locked=True)
        return out

    def test_the_same_input_gives_the_same_bytes(self):
        self.assertEqual(self.write("a.tar").read_bytes(), self.write("b.tar").read_bytes())

    def test_an_image_names_its_packages(self):
        with tarfile.open(self.write("a.tar")) as archive:
            manifest = json.load(archive.extractfile(f"blobs/sha256/{image.describe(self.folder / 'a.tar')[1].partition(':')[2]}"))
            layer = archive.extractfile("blobs/sha256/" + manifest["layers"][0]["digest"].partition(":")[2])
            with tarfile.open(fileobj=layer) as files:
                names = set(files.getnames())
                sums = files.extractfile("var/lib/dpkg/status.d/libc6.md5sums").read().decode()
                stanza = files.extractfile("var/lib/dpkg/status.d/libc6").read().decode()
        self.assertLessEqual({f"var/lib/dpkg/status.d/{name}" for name in ("libc6", "coreutils", "tzdata")}, names)
        self.assertIn("etc/os-release", names)
        self.assertRegex(stanza, "Package: libc6\nStatus: install ok installed\n")
        self.assertRegex(sums, "(?m)^[0-9a-f]{32}  usr/lib/x86_64-linux-gnu/libc.so.6$")
        self.assertEqual({p.name for p in debian.read_lock(self.recipe.lock)}, {"libc6", "coreutils", "tzdata"})


if __name__ == "__main__":
    unittest.main()
