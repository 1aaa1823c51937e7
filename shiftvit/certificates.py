"""Checks the environment variables that name trusted certificates, at which libraries fail late or not in words."""

import os
import ssl

from shiftvit.errors import ConfigError

_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def check() -> None:
    """Checks them before something connects by TLS.

    Raises:
        ConfigError: one names no certificates.
    """
    for name in _VARIABLES:
        path = os.environ.get(name)
        if path:
            try:
                place = {"capath" if os.path.isdir(path) else "cafile": path}
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(**place)
            except OSError as error:
                raise ConfigError(
                    f"{name}={path}: cannot read certificates there ({error.strerror}); set it to a file of trusted "
                    "certificates in PEM format, or unset it"
                ) from error
