"""An engine and a proxy with certificates that dind-proxy certs has made."""

import subprocess

from docker_engine import Engine, Proxied
from proxy_process import binary, clean_environment


class World:
    """An engine with dind's certificates and a proxy with its own, all made by one run."""

    def __init__(self, directory, layout):
        self.made = directory / "certs"
        subprocess.run([binary(), "certs", "--dir", self.made, "--layout", layout, "--proxy-san",
                        "127.0.0.1"], check=True, stdout=subprocess.DEVNULL,
                       env=clean_environment())
        # Under the names by which the fixtures know them.
        names = directory / "names"
        names.mkdir()
        for name, place in (("dind-server", "dind/server"), ("dind-client", "proxy/client"),
                            ("proxy", "proxy/server"), ("agent", "agent")):
            (names / name).symlink_to(self.made / place)
        self.engine = Engine(directory / "engine", names)
        try:
            (directory / "p").mkdir()
            self.proxied = Proxied(self.engine, names, directory / "p", "mtls-mtls")
        except BaseException:
            self.engine.stop()
            raise

    def past_the_proxy(self, files, client):
        """Docker's client with these files and the engine's CA, straight to the engine."""
        folder = self.proxied.directory / f"direct-{files.parent.name}-{files.name}"
        if not folder.exists():
            folder.mkdir()
            for name, source in (("cert.pem", files), ("key.pem", files),
                                 ("ca.pem", self.made / "dind/client")):
                (folder / name).symlink_to(source / name)
        environment = self.proxied.environment | {"DOCKER_HOST": self.engine.tcp,
                                                  "DOCKER_CERT_PATH": str(folder)}
        return subprocess.run([client, "version", "--format", "{{.Server.Version}}"], text=True,
                              env=environment, capture_output=True, timeout=60)

    def stop(self):
        self.proxied.proxy.stop()
        self.engine.stop()
