"""The curve of a training: its loss and its score, drawn while it learns."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QFontInfo, QFontMetrics, QPalette
from qtpy.QtWidgets import QLabel, QStackedLayout, QWidget

from napari_unet.events import Event, Loss, Progress, Score
from napari_unet.holdout import SHARE, TRUSTED
from napari_unet.widgets.job import Job

_WIDTH, _HEIGHT = 300, 150  # pixels
_REDRAW_MS = 200
_HEADROOM = 1.2  # the value of the best score is written above it, even where the IoU is 1
_ENOUGH = round(TRUSTED / SHARE, -3)  # painted pixels from which on enough is held out
_ORANGE = QColor("#e8590c")


class Curve(QWidget):
    """The training loss (left axis) and the IoU on the held-out part (right axis) over the steps.

    The best score is ringed, with its value; scores that cannot be trusted are hollow, on a dashed line.
    Colours and font follow the widget's palette, which napari's themes set too.

    Parameters
    ----------
    parent : QWidget or None
        Qt's parent.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._losses: list[tuple[int, float]] = []  # step, loss
        self._scores: list[Score] = []
        self._steps = 0
        self._later = QTimer(self, singleShot=True, interval=_REDRAW_MS)
        self._later.timeout.connect(self.draw)

        self._empty = QLabel(
            "The curve appears here while it learns. A score can be trusted from about "
            f"{_ENOUGH:,.0f} pixels painted by hand on; a part of them is held out for it.",
            alignment=Qt.AlignmentFlag.AlignCenter,
        )
        self._empty.setWordWrap(True)
        self._plot = _bare_plot()
        self._loss = self._plot.plot(antialias=True, autoDownsampleFactor=1)
        self._loss.setDownsampling(auto=True, method="mean")  # a mean a pixel, or 10,000 losses are a thick band
        self._trusted = self._plot.plot(antialias=True, symbol="o", symbolSize=5)
        self._untrusted = self._plot.plot(antialias=True, symbol="o", symbolSize=5)
        self._ring = self._plot.plot(antialias=True, pen=None, symbol="o", symbolSize=11, symbolBrush=None)
        self._best = pg.TextItem()
        self._plot.addItem(self._best)
        self._doubt = pg.TextItem("IoU not to be trusted yet", anchor=(1, 1))
        self._plot.addItem(self._doubt)

        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._plot)
        self.setMinimumWidth(200)
        self.setFixedHeight(_HEIGHT)
        self.setToolTip(
            "While it learns, the loss (thin line) falls and the IoU on the held-out part (dots) rises; "
            "the ring is kept: the best so far, from two thirds of the steps on the best since then; before, a model "
            "changes so much that its score is luck. Hollow dots cannot be trusted yet: too little is held out."
        )
        self._follow_theme()

    def watch(self, job: Job) -> None:
        """Draw what a training said so far, and what it says from now on; one that goes on keeps its curve."""
        if self._job is not None:
            self._job.happened.disconnect(self.add)
        if self._job is None or self._job.config.out != job.config.out:
            self.clear()
        self._job = job
        for event in job.events:
            self.add(event)
        job.happened.connect(self.add)

    def add(self, event: Event) -> None:
        """Take one more point, or the number of steps; it is drawn within a fifth of a second.

        Points beyond its step are forgotten, since a resumed training does its last steps again.

        Parameters
        ----------
        event : Event
            Any but losses, scores with an IoU, and progress draws nothing.
        """
        match event:
            case Loss(step, loss):
                self._forget_beyond(step)
                self._losses.append((step, loss))
            case Score(step, iou) if iou is not None:
                self._forget_beyond(step)
                self._scores.append(event)
            case Progress(total=total) if total != self._steps:
                self._steps = total
            case _:
                return
        if not self._later.isActive():
            self._later.start()

    def _forget_beyond(self, step: int) -> None:
        while self._losses and self._losses[-1][0] > step:
            self._losses.pop()
        while self._scores and self._scores[-1].step > step:
            self._scores.pop()

    def clear(self) -> None:
        """Forget the points and the number of steps."""
        self._losses.clear()
        self._scores.clear()
        self._steps = 0
        self.draw()

    def draw(self) -> None:
        """Draw all points now."""
        self._later.stop()
        losses, scores = np.array(self._losses, float).reshape(-1, 2), self._scores
        self._pages.setCurrentWidget(self._plot if len(losses) or scores else self._empty)
        end = max(self._steps, *(step for step, _ in self._losses[-1:]), *(score.step for score in scores[-1:]), 1)
        # Both lines share one 0..1 view: the loss is drawn as a share of its maximum, and its axis counts in it.
        top = losses[:, 1].max(initial=0) or 1.0
        self._plot.getAxis("left").setScale(top)
        self._plot.setRange(xRange=(0, end), yRange=(0, _HEADROOM), padding=0.04)
        self._loss.setData(losses[:, 0], losses[:, 1] / top)

        trusted = [s for s in scores if s.trusted]
        for line, points in ((self._trusted, trusted), (self._untrusted, [s for s in scores if not s.trusted])):
            line.setData([s.step for s in points], [s.iou for s in points])
        best = next((s for s in trusted if s.iou == trusted[-1].best), None)
        self._ring.setData([best.step] if best else [], [best.iou] if best else [])
        self._doubt.setVisible(bool(scores) and not scores[-1].trusted)
        self._doubt.setPos(end, 0)
        self._best.setVisible(best is not None)
        if best:
            self._best.setPlainText(f"{best.iou:.2f}")
            self._best.setPos(best.step, best.iou)
            self._best.setAnchor((best.step / end, 1.2))  # slides along, to stay inside at both ends

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return what fits a panel; pyqtgraph would ask for 640 pixels."""
        return QSize(_WIDTH, _HEIGHT)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Follow the theme: napari's stylesheet arrives as a change of palette, style or font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange, QEvent.Type.FontChange):
            self._follow_theme()

    def _follow_theme(self) -> None:
        """Take colours and font size from the palette and font of the widget."""
        palette = self.palette()
        back, text = palette.color(QPalette.ColorRole.Window), palette.color(QPalette.ColorRole.WindowText)
        grey, orange = _mixed(text, back, 0.35), _mixed(_ORANGE, text, 0.2)
        font = self.font()
        font.setPointSizeF(0.85 * QFontInfo(font).pointSizeF())
        self._empty.setStyleSheet(f"color: {grey.name()}")
        self._plot.setBackground(back)
        for side, label, colour in (("bottom", "step", grey), ("left", "loss", grey), ("right", "IoU", orange)):
            axis = self._plot.getAxis(side)
            axis.setPen(_mixed(text, back, 0.75))
            axis.setTextPen(colour)
            axis.setStyle(tickFont=font)
            axis.setLabel(label, **{"color": colour.name(), "font-size": f"{font.pointSizeF()}pt"})
        # Room for the numbers, the word and the tick: fixed, or the plot would jump with every new digit.
        metrics = QFontMetrics(font)
        self._plot.getAxis("bottom").setHeight(2 * metrics.height() + 7)
        for side, widest in (("left", "0.00"), ("right", "0.5")):
            self._plot.getAxis(side).setWidth(metrics.horizontalAdvance(widest) + metrics.height() + 9)
        self._loss.setPen(grey, width=1)
        self._trusted.setPen(orange, width=1.5)
        self._untrusted.setPen(orange, width=1.5, style=Qt.PenStyle.DashLine)
        for dots, inside in ((self._trusted, orange), (self._untrusted, back)):
            dots.setSymbolPen(orange)
            dots.setSymbolBrush(inside)
        self._ring.setSymbolPen(text, width=1.5)
        for words, colour in ((self._best, text), (self._doubt, orange)):
            words.setFont(font)
            words.setColor(colour)


def _bare_plot() -> pg.PlotWidget:
    """Three axes and nothing to zoom, pan or click."""
    plot = pg.PlotWidget(enableMenu=False, axisItems={"bottom": _StepAxis("bottom")})
    plot.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)  # the wheel scrolls the panel instead
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    plot.hideButtons()
    plot.showAxis("right")
    plot.getPlotItem().layout.setContentsMargins(0, 2, 5, 2)
    for side in ("bottom", "left", "right"):
        axis = plot.getAxis(side)
        axis.enableAutoSIPrefix(False)
        axis.setStyle(maxTickLevel=0, tickLength=3, tickTextOffset=4, hideOverlappingLabels=False)
    plot.getAxis("right").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
    return plot


class _StepAxis(pg.AxisItem):
    """Counts whole steps, with thousands separated."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002, N802
        return [f"{value:,.0f}" if float(value).is_integer() else "" for value in values]


def _mixed(colour: QColor, other: QColor, share: float) -> QColor:
    """`colour` with a share of `other`."""
    pairs = zip(colour.getRgbF()[:3], other.getRgbF()[:3], strict=True)
    return QColor.fromRgbF(*((1 - share) * a + share * b for a, b in pairs))
