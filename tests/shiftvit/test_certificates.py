import pytest

from pipeline.runners.kubeflow.api import Api
from pipeline.sources import tfds_source
from shiftvit.errors import ConfigError


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_variable_that_names_no_certificates_is_named_before_anything_connects(
    variable, content, tmp_path, monkeypatch
):
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(variable, str(bundle))
    connect = (lambda: Api("https://127.0.0.1:1"), lambda: tfds_source.require_network("https://127.0.0.1:1", "", ""))

    for attempt in connect:
        with pytest.raises(ConfigError, match=f"^{variable}={bundle}: cannot read certificates there"):
            attempt()
