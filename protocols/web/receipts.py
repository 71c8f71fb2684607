"""A receipt as a PDF: one page of A4 that can be kept and printed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import trio

from protocols.web.languages import Words
from statecharts.ports import CdrView

MARGIN, LINE, LABELS = 60, 22, 190
"""In points: from the edge of the page, from line to line, from a label to its value."""


async def receipt_pdf(record: CdrView, words: Words, operator: str) -> bytes:
    """The receipt as a PDF. Whoever asks for the first one waits for the library that writes it, and nobody else."""
    return await trio.to_thread.run_sync(_written, record, words, operator)


def _written(record: CdrView, words: Words, operator: str) -> bytes:
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    content = io.BytesIO()
    canvas = Canvas(content, pagesize=A4, invariant=True)
    canvas.setTitle(words("receipt.title"))
    canvas.setAuthor(operator)
    at = A4[1] - MARGIN
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(MARGIN, at, f"{operator}: {words('receipt.title')}")
    at -= 2 * LINE
    for label, value in rows(record, words):
        canvas.setFont("Helvetica", 10)
        canvas.drawString(MARGIN, at, label)
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawString(MARGIN + LABELS, at, value)
        at -= LINE
    canvas.showPage()
    canvas.save()
    return content.getvalue()


def rows(record: CdrView, words: Words) -> Iterator[tuple[str, str]]:
    """The labels and values of a receipt, in their order; times in UTC, since a file is read anywhere."""
    energy = "–" if record.energy_wh is None else f"{record.energy_wh / 1000:.3f}".replace(".", words("decimal_point"))
    duration = record.end_timestamp - record.start_timestamp
    yield words("receipt.number"), record.cdr_id
    yield words("receipt.user"), record.user_identifier
    yield words("receipt.station"), record.local_service_identifier
    yield words("receipt.operator"), record.pms_identifier
    yield words("receipt.start"), _time(record.start_timestamp)
    yield words("receipt.end"), _time(record.end_timestamp)
    yield words("receipt.duration"), str(duration).partition(".")[0]
    yield words("receipt.energy"), f"{energy} kWh"
    yield words("receipt.authorization"), record.authorization_identifier
    if record.flags:
        yield words("receipt.flags"), ", ".join(record.flags)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
