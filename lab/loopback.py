"""HTTP on the operator's loopback ports."""

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

ANSWER_SECONDS = 10.0


def answer(port: int, method: str, path: str, accept: str = "*/*") -> dict[str, str] | None:
    """The headers of an answer with status 200 (names in lower case), or nothing."""
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, headers={"Accept": accept})
        response = connection.getresponse()
    except (OSError, HTTPException):
        return None
    else:
        headers = {name.lower(): value for name, value in response.getheaders()}
        return headers if response.status == HTTPStatus.OK else None
    finally:
        connection.close()
