"""Links that S3 serves to whoever holds them: Signature Version 4 in the query string.

Ours, for obstore's own cannot say under which name and type the object is to be served.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
# Only the host is signed: a client that adds headers (Range) still holds a good link.
_SIGNED_HEADERS = "host"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one bucket; ``endpoint`` is where the clients of the links find it."""

    endpoint: str
    bucket: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)

    def link(self, key: str, seconds: int, answer: dict[str, str], now: datetime) -> str:
        """Give a link that is good for so long.

        ``answer`` names the headers that S3 is to answer with (``response-…``).
        """
        moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        query = _query(
            answer
            | {
                "X-Amz-Algorithm": _ALGORITHM,
                "X-Amz-Credential": f"{self.access_key}/{scope}",
                "X-Amz-Date": moment,
                "X-Amz-Expires": str(seconds),
                "X-Amz-SignedHeaders": _SIGNED_HEADERS,
            }
        )
        url = urlsplit(self.endpoint)
        path = quote(f"{url.path.rstrip('/')}/{self.bucket}/{key}")
        request = f"GET\n{path}\n{query}\nhost:{url.netloc}\n\n{_SIGNED_HEADERS}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = self._sign(f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}", scope)
        return f"{url.scheme}://{url.netloc}{path}?{query}&X-Amz-Signature={signature}"

    def _sign(self, text: str, scope: str) -> str:
        key = f"AWS4{self.secret_key}".encode()
        for part in scope.split("/"):
            key = _hmac(key, part)
        return _hmac(key, text).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _query(fields: dict[str, str]) -> str:
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(fields.items()))
