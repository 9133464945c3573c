"""The list of classes: what is clicked and typed is what a training gets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QLineEdit, QPushButton, QScrollArea, QToolButton

from napari_unet.classes import PixelClass, default_colors
from napari_unet.widgets.classes import ClassList, legend

LEFT = Qt.MouseButton.LeftButton
edits = st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 9)), max_size=8)


def classes(*names):
    """Classes 1, 2, ... in the default colours."""
    return tuple(PixelClass(i + 1, *pair) for i, pair in enumerate(zip(names, default_colors(len(names)), strict=True)))


@pytest.fixture
def three(qtbot):
    """Three classes, on the screen."""
    widget = ClassList()
    qtbot.addWidget(widget)
    widget.set_classes(classes("interior", "membrane", "vesicle"))
    with qtbot.waitExposed(widget):
        widget.show()
    widget.activateWindow()
    return widget


def of(widget, kind, **wanted):
    """The parts of a kind, from top to bottom."""
    parts = [each for each in widget.findChildren(kind) if not each.isHidden()]
    return [each for each in parts if all(getattr(each, name)() == value for name, value in wanted.items())]


def numbers(widget):
    return [button.text() for button in of(widget, QPushButton)]


def removers(widget):
    return of(widget, QToolButton, text="×")


def click_add(qtbot, widget):
    qtbot.mouseClick(of(widget, QToolButton, text="+ class")[0], LEFT)


@settings(max_examples=30)
@given(st.permutations(classes("a", "b", "c")), st.booleans())
def test_classes_come_back_in_the_order_of_their_values(qapp, shown, background):
    widget = ClassList()
    widget.set_classes([*shown, *[PixelClass(0, "background", "#000000")] * background])
    assert widget.classes() == classes("a", "b", "c")
    assert numbers(widget) == ["1", "2", "3"]


def test_a_name_is_typed(three, qtbot):
    line = of(three, QLineEdit)[1]
    qtbot.mouseDClick(line, LEFT)
    with qtbot.waitSignal(three.changed):
        qtbot.keyClicks(line, " cell wall ")
    assert [each.name for each in three.classes()] == ["interior", "cell wall", "vesicle"]
    three.set_classes(three.classes())  # what a caller gives back while it is typed
    assert of(three, QLineEdit)[1] is line
    assert line.text() == " cell wall "


def test_a_number_asks_to_paint_and_only_one_is_marked(three, qtbot):
    buttons = of(three, QPushButton)
    for i in (1, 2, 2):  # a second click does not take the mark away
        with qtbot.waitSignal(three.picked) as signal:
            qtbot.mouseClick(buttons[i], LEFT)
        assert signal.args == [i + 1]
        assert [button.isChecked() for button in buttons] == [k == i for k in range(3)]
    three.set_current(0)
    assert not any(button.isChecked() for button in buttons)


def test_a_new_class_has_a_free_name_and_colour_and_waits_for_its_name(three, qtbot):
    with qtbot.waitSignal(three.changed):
        click_add(qtbot, three)
    assert three.classes()[3] == PixelClass(4, "class 4", default_colors(4)[3])
    qtbot.waitUntil(lambda: of(three, QLineEdit)[3].hasFocus())
    qtbot.keyClicks(of(three, QLineEdit)[3], "vacuole")
    assert three.classes()[3].name == "vacuole"


def test_a_removed_class_gives_its_colour_back_and_the_others_move_up(three, qtbot):
    with qtbot.waitSignal(three.changed):
        qtbot.mouseClick(removers(three)[0], LEFT)
    assert [(each.value, each.name) for each in three.classes()] == [(1, "membrane"), (2, "vesicle")]
    click_add(qtbot, three)
    assert three.classes()[2] == PixelClass(3, "class 3", default_colors(1)[0])


def test_painted_numbers_keep_their_meaning(three, qtbot):
    three.set_painted(True)
    first, second, third = removers(three)
    assert not first.isEnabled()
    assert not second.isEnabled()
    assert second.toolTip() == "The labels are painted with these numbers: only the last class can be removed."
    qtbot.mouseClick(third, LEFT)
    assert [(each.value, each.name) for each in three.classes()] == [(1, "interior"), (2, "membrane")]
    assert removers(three)[1].isEnabled()
    three.set_painted(False)
    assert all(each.isEnabled() for each in removers(three))


def test_the_last_class_stays_and_says_why(three, qtbot):
    for _ in range(3):
        qtbot.mouseClick(removers(three)[-1], LEFT)
    assert [each.name for each in three.classes()] == ["interior"]
    assert removers(three)[0].toolTip() == "A training needs at least one class."


def test_values_stay_consecutive_names_and_colours_different(qtbot):
    @given(edits)
    @settings(max_examples=20)
    def keeps(steps):
        widget = ClassList()
        widget.set_classes(classes("interior", "membrane"))
        for what, place in steps:
            if what == "add":
                click_add(qtbot, widget)
            else:
                away = removers(widget)
                qtbot.mouseClick(away[place % len(away)], LEFT)
            assert numbers(widget) == [str(i + 1) for i in range(len(widget.classes()))]
            assert [each.value for each in widget.classes()] == list(range(1, len(widget.classes()) + 1))
            assert widget.problem() == ""
        assert widget.classes()

    keeps()


def test_there_is_an_end(qtbot):
    widget = ClassList()
    qtbot.addWidget(widget)
    widget.set_classes(classes(*map(str, range(253))))
    click_add(qtbot, widget)
    click_add(qtbot, widget)
    assert len(widget.classes()) == 254
    assert of(widget, QToolButton, text="+ class")[0].toolTip() == "There are at most 254 classes."


def test_a_colour_is_chosen_in_our_own_dialog(three, qtbot):
    for end, color in (("reject", default_colors(1)[0]), ("accept", "#102030")):
        qtbot.mouseClick(of(three, QToolButton, accessibleName="Colour")[0], LEFT)
        (dialog,) = of(three, QColorDialog)
        assert dialog.testOption(QColorDialog.ColorDialogOption.DontUseNativeDialog)
        assert dialog.windowTitle() == "Colour of interior"
        dialog.setCurrentColor(QColor("#102030"))
        qtbot.keyClick(dialog, Qt.Key.Key_Escape if end == "reject" else Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: not of(three, QColorDialog))
        assert three.classes()[0].color == color
    icon = of(three, QToolButton, accessibleName="Colour")[0].icon()
    assert icon.pixmap(14, 14).toImage().pixelColor(7, 7).name() == "#102030"


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        (classes("interior", "membrane"), ""),
        ((), ""),
        (classes("membrane", " membrane "), "Two classes are called membrane."),
        (classes("membrane", " "), "A class has no name."),
        (classes("a,b"), "A class name cannot hold a comma."),
        ((PixelClass(1, "a", "#AABBCC"), PixelClass(2, "b", "#aabbcc")), "a and b have the same colour."),
    ],
)
def test_a_problem_is_one_plain_sentence(shown, problem, qtbot):
    widget = ClassList()
    qtbot.addWidget(widget)
    widget.set_classes(shown)
    assert widget.problem() == problem


def test_many_rows_scroll_and_a_few_do_not(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    widget = ClassList()
    viewer.window.add_dock_widget(widget, name="classes")
    scroll = widget.findChild(QScrollArea)
    for n in (1, 5, 6, 40):
        widget.set_classes(classes(*[f"class {i}" for i in range(n)]))
        qtbot.waitUntil(lambda n=n: (scroll.verticalScrollBar().maximum() > 0) == (n > 5))
        assert widget.minimumSizeHint().width() <= 300
    row = of(widget, QLineEdit)[0].parentWidget()
    qtbot.waitUntil(lambda: 5 * row.height() < scroll.height() < 6.5 * row.height())
    click_add(qtbot, widget)  # the new row comes into view
    bar = scroll.verticalScrollBar()
    qtbot.wait(100)
    assert bar.value() == bar.maximum() > 35 * row.height()


def test_a_legend_shows_names_as_they_are():
    text = legend(classes("<b>a b", "c"))
    assert "&lt;b&gt;a&nbsp;b" in text
    assert [color in text for color in default_colors(3)] == [True, True, False]
