"""What `make sbom` wrote names each image and its packages. `make sbom` runs this at its end.

    python3 images/test_sboms.py
"""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import build  # noqa: E402
from riglib import python_image  # noqa: E402


class Sboms(unittest.TestCase):
    def test_each_names_the_image_and_its_packages(self):
        written = list(build.OUT.glob("*.sbom.json"))
        self.assertTrue(written, "no SBOM in " + str(build.OUT))
        for file in written:
            with self.subTest(file.name):
                document = json.loads(file.read_text())
                self.assertEqual(document["bomFormat"], "CycloneDX")
                self.assertRegex(document["metadata"]["component"]["version"], "^sha256:")
                found = {c["name"]: c for c in document["components"]}
                self.assertIn("libc6", found)
                self.assertRegex(found["libc6"]["purl"], r"^pkg:deb/debian/libc6@")
                if file.name.startswith("sklearn"):
                    self.assertLessEqual({wheel.partition("==")[0] for wheel in python_image.WHEELS}, set(found))


if __name__ == "__main__":
    unittest.main()
