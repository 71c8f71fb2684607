"""A room of the pages: who may come in, how one signs in and out, and what all of its answers have in common."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from quart import Blueprint, g, request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import FailureLimiter, address_of_client
from protocols.rest.bodies import ENCODER
from protocols.rest.problems import Problem, correlation_id, report
from protocols.rest.recorded import Recorder
from protocols.web import static
from protocols.web.languages import Words, chosen, languages
from protocols.web.passwords import Doorkeeper
from protocols.web.shown import FILTERS
from protocols.web.visits import LASTS, Seal, Visit, mark_of
from statecharts.accounts import Accounts
from statecharts.page_limits import PASSWORD
from statecharts.ports import Principal, Rank

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGE_COOKIE = "roamnode-language"
A_YEAR_S = 31_536_000
CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")
TOKEN_BYTES = 18

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an operator's pages look like: its name, and the map that they begin with (see `[pages]`)."""

    operator: str
    language: str = "en"
    place: tuple[float, float] | None = None
    tiles: str = ""
    tiles_attribution: str = ""

    @property
    def tiles_from(self) -> str:
        """The origin of the map's tiles, "" where the page has its own."""
        parts = urlsplit(self.tiles)
        return f"{parts.scheme}://{parts.netloc}" if self.tiles else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all rooms share. `key` gives the secret that visits are sealed with, `secure` says that we are on TLS."""

    look: Look
    key: Callable[[], bytes]
    now: Callable[[], datetime]
    fresh_token: Callable[[], str]
    failures: FailureLimiter
    secure: bool
    doorkeeper: Doorkeeper = field(default_factory=Doorkeeper)


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters.update(FILTERS)
    found.globals["static"] = static.address
    found.policies["json.dumps_function"] = _as_json
    return found


class Room:
    """One room at `/{name}`. Its routes are added to `blueprint`, and are for people who have signed in."""

    def __init__(self, name: str, accounts: Accounts, house: House, recorder: Recorder | None = None) -> None:
        self.name, self._accounts, self.house, self._recorder = name, accounts, house, recorder
        self.blueprint = Blueprint(f"pages_{name}", __name__, url_prefix=f"/{name}")
        self.blueprint.before_request(self._come_in)
        self.blueprint.after_request(self._tell_browser)
        if recorder is not None:
            self.blueprint.after_request(recorder.answered)
        self.blueprint.errorhandler(Exception)(self._failed)
        self._open = {f"{self.blueprint.name}.{view.__name__}" for view in (self.sign_in, self.signed_in)}
        self._about_visits = {f"{self.blueprint.name}.{view.__name__}" for view in (self.sign_out, self.set_language)}
        self._add_sign_in()

    @cached_property
    def _seal(self) -> Seal:
        return Seal(self.house.key(), self.name)

    @cached_property
    def _templates(self) -> Environment:
        return _environment()

    @property
    def _cookie(self) -> str:
        return f"roamnode-{self.name}"

    # -- who is here ---------------------------------------------------------------------------------------------------

    async def _come_in(self) -> Response | None:
        g.words = chosen(
            request.cookies.get(LANGUAGE_COOKIE) or None,
            request.accept_languages or _none_accepted(),
            self.house.look.language,
        )
        if request.endpoint in self._open:
            return None
        visit = self._visit()
        if visit is None:
            return self._sent_to_sign_in()
        g.visit = visit
        if request.method not in CHANGES_NOTHING:
            await self._check_form(visit)
            if self._recorder is not None and request.endpoint not in self._about_visits:
                await self._recorder.entered(principal_here(), address_of_client())
        return None

    def _visit(self) -> Visit | None:
        """The visit of whoever asks, while it holds."""
        visit = self._seal.opened(request.cookies.get(self._cookie, ""))
        account = self._accounts.account(visit.name) if visit else None
        if visit is None or account is None or visit.until <= self.house.now() or visit.mark != mark_of(account):
            return None
        g.principal = account.principal
        return visit

    def _sent_to_sign_in(self) -> Response:
        here = request.headers.get("HX-Current-URL") or request.full_path.rstrip("?")
        parts = urlsplit(here)
        back = quote(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        place = f"/{self.name}/sign-in?next={back}"
        if "HX-Request" in request.headers:
            return Response(b"", 401, {"HX-Redirect": place})
        if request.accept_mimetypes.best == "text/event-stream":
            return Response(b"", 204)  # nobody is here any more: do not come back
        return Response(b"", 303, {"Location": place})

    async def _check_form(self, visit: Visit) -> None:
        """Raises `Problem` 403 for a form that is not of our own page, and for a viewer's."""
        _check_origin()
        given = request.headers.get("X-CSRF-Token") or (await request.form).get("csrf", "")
        if not hmac.compare_digest(given.encode(), visit.token.encode()):
            raise Problem(403, "form-outdated", g.words("problem.form-outdated.why"))
        if principal_here().rank is Rank.VIEWER and request.endpoint not in self._about_visits:
            raise Problem(403, "viewers-only-look", g.words("problem.viewers-only-look.why"))

    # -- signing in and out --------------------------------------------------------------------------------------------

    def _add_sign_in(self) -> None:
        add = self.blueprint.add_url_rule
        add("/sign-in", "sign_in", self.sign_in, methods=["GET"])
        add("/sign-in", "signed_in", self.signed_in, methods=["POST"])
        add("/sign-out", "sign_out", self.sign_out, methods=["POST"])
        add("/language", "set_language", self.set_language, methods=["POST"])

    async def sign_in(self) -> Response:
        """Asks for name and password."""
        return self.page("sign_in.html", problem=None, name="", nobody=not len(self._accounts))

    async def signed_in(self) -> Response:
        """Lets in who knows the password, 12 hours long."""
        _check_origin()
        form = await request.form
        name, password = form.get("name", ""), form.get("password", "")
        wait_s = self.house.failures.left_s(address_of_client())
        if wait_s:  # before the password is looked at: guesses must tell nothing, and cost nothing
            return self._not_in("too-many-failures", name, wait_s)
        account = self._accounts.account(name)
        fits = len(password) <= PASSWORD.limit and await self.house.doorkeeper.fits(account, password)
        if account is None or not fits:
            self.house.failures.wait_s(address_of_client())
            return self._not_in("wrong-password", name)
        log.info("pages.signed_in", room=self.name, name=name)
        until, token = self.house.now() + LASTS, self.house.fresh_token()
        visit = Visit(name=name, until=until, mark=mark_of(account), token=token)
        answer = Response(b"", 303, {"Location": self._next()})
        answer.set_cookie(self._cookie, self._seal.sealed(visit), int(LASTS.total_seconds()), **self._kept())
        return answer

    def _not_in(self, kind: str, name: str, wait_s: float = 0) -> Response:
        log.info("pages.not_signed_in", room=self.name, kind=kind)
        answer = self.page("sign_in.html", 429 if wait_s else 401, problem=kind, name=name, nobody=False)
        if wait_s:
            answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer

    def _next(self) -> str:
        """Where to go after signing in: only to a page of this room."""
        wanted = request.args.get("next", "")
        fits = wanted.startswith((f"/{self.name}/", f"/{self.name}?")) and "\\" not in wanted and "//" not in wanted
        return wanted if fits else f"/{self.name}"

    def _kept(self) -> dict[str, Any]:
        return {"path": f"/{self.name}", "secure": self.house.secure, "httponly": True, "samesite": "Strict"}

    async def sign_out(self) -> Response:
        """Takes the visit away."""
        answer = Response(b"", 303, {"Location": f"/{self.name}/sign-in"})
        answer.delete_cookie(self._cookie, **self._kept())
        return answer

    async def set_language(self) -> Response:
        """Shows the pages in another language from now on."""
        code = (await request.form).get("language", "")
        answer = Response(b"", 303, {"Location": f"/{self.name}"})
        if code in languages():
            answer.set_cookie(LANGUAGE_COOKIE, code, A_YEAR_S, path="/", secure=self.house.secure, samesite="Strict")
        return answer

    # -- answers -------------------------------------------------------------------------------------------------------

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page, or a part of one, in the reader's language. Templates know `t`, `look`, `me` and `csrf` besides."""
        words: Words = g.words
        visit: Visit | None = g.get("visit")
        me: Principal | None = g.get("principal")
        known = {
            "t": words,
            "languages": languages().values(),
            "look": self.house.look,
            "me": me,
            "may_change": me is not None and me.rank is not Rank.VIEWER,
            "visitor": visit.name if visit else "",
            "csrf": visit.token if visit else "",
            "room": self.name,
            "now": self.house.now(),
            "correlation_id": correlation_id(),
        }
        text = self._templates.get_template(template).render(**known, **values)
        return Response(text, status, content_type="text/html; charset=utf-8")

    async def _failed(self, error: Exception) -> Response:
        """What went wrong, in the reader's language, and what to do next."""
        problem = report(error)
        g.problem_kind = problem.kind
        headers = {name: value for name, value in problem.headers.items() if name != "WWW-Authenticate"}
        if "words" not in g:  # it failed before anybody knew who asks
            g.words = chosen(None, _none_accepted(), self.house.look.language)
        part = "HX-Request" in request.headers
        answer = self.page(
            "problem_part.html" if part else "problem.html",
            problem.status,
            problem=problem,
        )
        answer.headers.update(headers)
        return answer

    async def _tell_browser(self, response: Response) -> Response:
        tiles = self.house.look.tiles_from
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"img-src 'self' data:{tiles and ' ' + tiles}; connect-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response


def _as_json(value: Any, indent: int | None = None, **_: Any) -> str:
    """What `tojson` writes: times and decimals too."""
    return msgspec.json.format(ENCODER.encode(value), indent=indent or 0).decode()


def principal_here() -> Principal:
    """Who has signed in."""
    found: Principal = g.principal
    return found


def words_here() -> Words:
    """The words of the reader's language."""
    found: Words = g.words
    return found


def _none_accepted() -> Any:
    from werkzeug.datastructures import LanguageAccept

    return LanguageAccept([])


def _check_origin() -> None:
    """Raises `Problem` 403 for what another site's page has sent; browsers tell, and always do on forms."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc != request.host):
        raise Problem(403, "form-outdated", g.words("problem.form-outdated.why"))
