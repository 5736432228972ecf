"""Findings as one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bnn_toolchain.report import figures
from bnn_toolchain.report.findings import Findings
from bnn_toolchain.runtime.checks.bench_record import Benchmark

TEMPLATE = "page.html"


@dataclass(frozen=True)
class Measured:
    """A benchmark and its pictures."""

    benchmark: Benchmark
    latency: Markup
    layers: Markup | None
    sizes: Markup | None

    @classmethod
    def of(cls, benchmark: Benchmark) -> Measured:
        """Draw them."""
        several = len({timing.network for timing in benchmark.timings}) > 1
        return cls(
            benchmark,
            Markup(figures.latency(benchmark)),
            Markup(figures.layers(benchmark)) if benchmark.profile else None,
            Markup(figures.sizes(benchmark)) if several else None,
        )


def render(findings: Findings) -> str:
    """The page: HTML with everything in it, and no script."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "thousands": lambda number: f"{number:,}",
        "percent": lambda share: f"{100 * share:.2f} %",
        "microseconds": lambda seconds: f"{seconds * 1e6:,.1f}",
    }
    pictures = {
        "learning": figures.learning(findings.epochs) if findings.epochs else None,
        "confusion": figures.confusion(findings.confusion) if findings.confusion else None,
        "trade": figures.trade(findings),
    }
    measured = [Measured.of(benchmark) for benchmark in findings.benchmarks]
    return environment.get_template(TEMPLATE).render(
        found=findings,
        measured=measured,
        # SVG that matplotlib wrote: it escapes the names in it itself
        **{name: Markup(svg) if svg else None for name, svg in pictures.items()},
    )
