"""A refused write becomes a 503, and pages show a banner for as long as writes are refused."""

from django.db import Error, connection
from django.http import HttpResponse


def read_only():
    """Whether writes are refused now: what pages ask to show the banner."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        return cursor.fetchone()[0]


def banner(request):
    """A context processor: {% if read_only %}…{% endif %} in the base template."""
    return {"read_only": read_only()}


class FrozenMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, error):
        if isinstance(error, Error) and getattr(error.__cause__, "sqlstate", None) == "25006":
            return HttpResponse("Under maintenance: reading only.", status=503, headers={"Retry-After": "60"})
        return None
