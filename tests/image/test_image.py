"""The binary serves as the image runs it: see container.py. What the base images contain is not tested here."""

import os
import pathlib
import subprocess
import unittest

import grpc

from container import DATA, USER, Container, enter_namespaces, libraries

# Libraries that the base image has: Debian's libc6 and libgcc-s1.
IN_THE_BASE = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"}


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.container = Container()
        cls.addClassCleanup(cls.container.remove)
        cls.container.start()
        with grpc.insecure_channel("127.0.0.1:7700") as channel:
            cls.container.wait_until_serving(channel)

    def test_it_serves_without_privileges(self):
        status = self.container.status()
        self.assertEqual((status["Uid"].split(), status["Gid"].split()), ([USER[0]] * 4, [USER[1]] * 4))
        self.assertEqual((status["Groups"], status["NoNewPrivs"], int(status["CapEff"], 16)), ("", "1", 0))
        self.assertEqual(status["NSpid"].split()[-1], "1")

    def test_its_root_cannot_be_written(self):
        root = pathlib.Path(f"/proc/{self.container.first_process()}/root")
        for folder in ("", "etc", "tmp", "usr/local/bin", "var/lib"):
            with self.assertRaisesRegex(OSError, "Read-only file system", msg=folder):
                (root / folder / "file").touch()

    def test_only_its_user_can_read_its_data(self):
        data = pathlib.Path(f"/proc/{self.container.first_process()}/root{DATA}")
        files = [path for path in data.rglob("*")]
        self.assertIn("development.key", {path.name for path in files})
        for path in [data, *files]:
            self.assertEqual((path.stat().st_uid, path.stat().st_mode & 0o077), (int(USER[0]), 0), path)

    def test_the_demo_holds_every_promise(self):
        demo = self.container.run("demo")
        self.assertEqual(demo.returncode, 0, demo.stdout + demo.stderr)
        self.assertIn("ok  ", demo.stdout)

    def test_it_needs_no_library_that_the_base_has_not(self):
        names = {os.path.basename(path) for path in libraries()}
        self.assertEqual({name for name in names if not name.startswith("ld-linux")} - IN_THE_BASE, set())

    def test_it_is_linked_with_one_tls_library(self):
        """Row S9, at the binary itself: every object file of ring and of OpenSSL defines such symbols."""
        binary = pathlib.Path(f"/proc/{self.container.first_process()}/exe")
        symbols = subprocess.run(["nm", "--defined-only", os.path.realpath(binary)], capture_output=True, text=True).stdout
        if not symbols:
            self.skipTest("the binary has no symbols")
        self.assertIn(" aws_lc_", symbols)
        for foreign in (" ring_core_", " OPENSSL_init_ssl", " SSL_CTX_new"):
            self.assertNotIn(foreign, symbols)


class Stop(unittest.TestCase):
    def test_process_1_ends_at_sigterm(self):
        container = Container()
        self.addCleanup(container.remove)
        container.environment["FRONTDESK__LISTEN"] = "127.0.0.1:7701"
        container.environment["FRONTDESK__WEB__LISTEN"] = ""
        container.start()
        with grpc.insecure_channel("127.0.0.1:7701") as channel:
            container.wait_until_serving(channel)
        code, seconds = container.stop()
        self.assertEqual(code, 0, container.messages())
        self.assertLess(seconds, 25)

    def test_a_data_folder_that_cannot_be_written_is_named(self):
        container = Container(volumes=[])
        self.addCleanup(container.remove)
        self.assertNotEqual(container.start().process.wait(timeout=60), 0)
        self.assertIn(DATA, container.messages())


if __name__ == "__main__":
    enter_namespaces()
    unittest.main()
