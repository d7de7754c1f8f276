"""Connections to a server that speaks TLS, by certificates of its own."""

import shutil
import subprocess

import pytest
import sqlalchemy
from sqlalchemy import text

from flatnet.db.engine import Database
from flatnet.exceptions import DatabaseUnavailable
from flatnet.lab import servers

CIPHER = text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")


def openssl(directory, *arguments):
    subprocess.run(
        ["openssl", *arguments], cwd=directory, check=True, capture_output=True
    )


def an_authority(directory, name):
    """The file of a certificate that may sign others."""
    openssl(
        directory,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", f"/CN={name}", "-keyout", f"{name}.key"),
        *("-out", f"{name}.pem"),
    )
    return directory / f"{name}.pem"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return an_authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def url(authority, tmp_path_factory):
    here = tmp_path_factory.mktemp("mariadb")
    key, request, made = (
        here / f"server.{end}" for end in ("key", "csr", "pem")
    )
    openssl(
        here,
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server"),
        *("-keyout", str(key), "-out", str(request)),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
    )
    openssl(
        here,
        *("x509", "-req", "-in", str(request), "-CA", str(authority)),
        *("-CAkey", str(authority.with_suffix(".key")), "-CAcreateserial"),
        *("-days", "2", "-copy_extensions", "copy", "-out", str(made)),
    )
    options = (f"--ssl-cert={made}", f"--ssl-key={key}")
    with servers.mariadb(here / "server", options=options) as address:
        yield address


def cipher(url, **options):
    """What a connection is encrypted by, empty where it is not."""
    given = sqlalchemy.make_url(url).update_query_dict(options)
    database = Database(
        given.render_as_string(hide_password=False), patience=10
    )
    try:
        return database.read(lambda c: c.execute(CIPHER).one()[1])
    finally:
        database.close()


def test_without_options_it_is_encrypted_and_believed(url):
    assert cipher(url)


def test_who_names_an_authority_believes_no_other(url, authority, tmp_path):
    other = an_authority(tmp_path, "other")
    assert cipher(url, ssl_ca=str(authority))
    with pytest.raises(DatabaseUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        cipher(url, ssl_ca=str(other))
    local = url.replace("127.0.0.1", "localhost")
    with pytest.raises(DatabaseUnavailable, match="Hostname mismatch"):
        cipher(local, ssl_ca=str(authority))
    assert cipher(local, ssl_ca=str(authority), ssl_check_hostname="false")


def test_a_renewed_certificate_is_read_by_the_next_connection(
    url, authority, tmp_path
):
    file = tmp_path / "ca.pem"
    shutil.copy(an_authority(tmp_path, "other"), file)
    given = sqlalchemy.make_url(url).update_query_dict({"ssl_ca": str(file)})
    database = Database(
        given.render_as_string(hide_password=False), patience=10
    )
    with pytest.raises(DatabaseUnavailable):
        database.read(lambda c: c.execute(CIPHER).one())
    shutil.copy(authority, file)
    assert database.read(lambda c: c.execute(CIPHER).one()[1])
    database.close()
