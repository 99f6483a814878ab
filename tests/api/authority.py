"""A throw-away certificate authority on disk: certificates for loopback, valid for an hour."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Writes ``ca.pem`` into ``folder``, and what it is asked to sign."""

    def __init__(self, folder: Path, name: str = "throw-away") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.cafile = folder, folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), True
        )  # critical
        self._ca = made.sign(self._key, hashes.SHA256())
        self.cafile.write_bytes(self._ca.public_bytes(serialization.Encoding.PEM))

    def pair(self, name: str) -> Path:
        """``name``.pem: a PKCS#8 key, its certificate for 127.0.0.1 and localhost, and the authority's."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        hosts = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        )
        signed = self._builder(subject, key).add_extension(hosts, critical=False).sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / f"{name}.pem"
        chain = [one.public_bytes(serialization.Encoding.PEM) for one in (signed, self._ca)]
        path.write_bytes(private + b"".join(chain))
        return path

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
        )
