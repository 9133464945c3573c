"""A training is planned from its settings and the model it starts from."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from napari_unet import plan
from napari_unet.card import Card
from napari_unet.classes import PixelClass, default_colors
from napari_unet.config import TrainConfig
from napari_unet.model import Model
from napari_unet.painting import Meaning
from napari_unet.plan import first_network, peak_rate, plan_classes, steps_in
from napari_unet.problem import Problem
from napari_unet.unet import UNet

BLACK = "#000000"
BLUE, ORANGE, GREEN = default_colors(3)
CLASSES = (PixelClass(1, "interior", "#111111"), PixelClass(2, "membrane", "#222222"))


def config(**choices: object) -> TrainConfig:
    return TrainConfig(inputs=("a.tif", "b.tif"), out="run", **choices)


def start(classes: tuple[PixelClass, ...] = CLASSES, batch_norm: bool = True) -> Model:
    torch.manual_seed(99)
    net = UNet(classes=len(classes), width=2, batch_norm=batch_norm)
    torch.nn.init.normal_(net.head.bias)
    return Model(net.eval(), Card("em", classes, width=2, batch_norm=batch_norm))


def named(*names: str) -> tuple[PixelClass, ...]:
    return tuple(PixelClass(i, name, BLACK) for i, name in enumerate(names, start=1))


# ---- classes


def test_from_scratch_needs_names():
    with pytest.raises(Problem, match="from scratch needs class names"):
        plan_classes(config(), None)


def test_names_become_values_from_1_on():
    classes, meaning = plan_classes(config(classes="cell,nucleus,vesicle"), None)
    assert classes == (PixelClass(1, "cell", BLUE), PixelClass(2, "nucleus", ORANGE), PixelClass(3, "vesicle", GREEN))
    assert meaning == Meaning((1, 2, 3), None, objects=False, zero_counts=False)


@pytest.mark.parametrize("name", ["membrane", "Membrane", "boundary", "border", "background"])
def test_the_separator_is_known_by_its_name(name):
    assert plan_classes(config(classes=f"cell,{name}"), None)[1].separator == 1


def test_zero_as_background_is_a_class_of_its_own():
    classes, meaning = plan_classes(config(classes="cell,nucleus", zero="background"), None)
    assert classes[0] == PixelClass(0, "background", BLACK)
    assert [c.name for c in classes] == ["background", "cell", "nucleus"]
    assert meaning == Meaning((0, 1, 2), 0, objects=False, zero_counts=True)


def test_a_membrane_separates_even_where_zero_is_background():
    meaning = plan_classes(config(classes="interior,membrane", zero="background"), None)[1]
    assert meaning == Meaning((0, 1, 2), 2, objects=False, zero_counts=True)


@pytest.mark.parametrize("classes", ["cell,background", "Background"])
def test_two_backgrounds_are_a_problem(classes):
    with pytest.raises(Problem, match="background is the class of value 0"):
        plan_classes(config(classes=classes, zero="background"), None)


@pytest.mark.parametrize("zero", ["unlabelled", "background"])
@pytest.mark.parametrize("names", ["", "cell", "membrane"])
def test_objects_with_one_name_or_none_are_parted_by_the_background(names, zero):
    classes, meaning = plan_classes(config(classes=names, objects=True, zero=zero), None)
    assert [(c.value, c.name) for c in classes] == [(0, "background"), (1, names or "object")]
    assert meaning == Meaning((0, 1), 0, objects=True, zero_counts=zero == "background")


@pytest.mark.parametrize("zero", ["unlabelled", "background"])
def test_of_two_names_the_second_parts_the_objects(zero):
    classes, meaning = plan_classes(config(classes="membrane,gap", objects=True, zero=zero), None)
    assert [(c.value, c.name) for c in classes] == [(1, "membrane"), (2, "gap")]
    assert meaning == Meaning((1, 2), 1, objects=True, zero_counts=zero == "background")


def test_objects_have_two_names_at_most():
    with pytest.raises(Problem, match="one or two class names"):
        plan_classes(config(classes="a,b,c", objects=True), None)


def test_names_and_colours_of_the_start_model_are_taken():
    assert plan_classes(config(), start()) == (CLASSES, Meaning((1, 2), 1))


def test_the_background_of_the_start_model_is_not_named_twice():
    before = start((PixelClass(0, "background", BLACK), *CLASSES))
    assert plan_classes(config(zero="background"), before)[0] == before.card.classes
    assert plan_classes(config(), before)[0] == CLASSES


def test_a_known_name_keeps_its_colour():
    classes, _ = plan_classes(config(classes="membrane,vesicle,interior"), start())
    assert classes == (
        PixelClass(1, "membrane", "#222222"), PixelClass(2, "vesicle", BLUE), PixelClass(3, "interior", "#111111"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "names", [("membrane", "vesicle"), ("vesicle", "interior"), ("a", "membrane", "interior", "b")]
)
def test_no_two_classes_look_alike(names):
    before = start((PixelClass(1, "interior", BLUE), PixelClass(2, "membrane", ORANGE)))
    classes, _ = plan_classes(config(classes=names), before)
    assert len({c.color for c in classes}) == len(names)


def test_colours_that_are_twoare_taken():
    two = ("#AA0000", "#00bb00")
    classes, _ = plan_classes(config(classes="membrane,vesicle", colors=two), start())
    assert [c.color for c in classes] == list(two)
    assert [c.color for c in plan_classes(config(colors=two), start())[0]] == list(two)
    with_zero, _ = plan_classes(config(classes="a,b", colors=two, zero="background"), None)
    assert [c.color for c in with_zero] == [BLACK, *two]


@pytest.mark.parametrize(("names", "colors"), [("a,b", "#aa0000"), ("a", "#aa0000,#00bb00"), ("", "#aa0000")])
def test_there_is_one_colour_a_class(names, colors):
    with pytest.raises(Problem, match=r"There are . classes and . colours. Give one a class"):
        plan_classes(config(classes=names, colors=colors), start((*CLASSES, PixelClass(3, "c", BLUE))))


# ---- first weights


def same(one: UNet, two: UNet) -> bool:
    pairs = zip(one.state_dict().items(), two.state_dict().items(), strict=True)
    return all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


def test_from_scratch_the_seed_decides():
    net = first_network(config(seed=3, width=32), None, named("a", "b", "c"))
    assert net.head.weight.shape == (3, 32, 1, 1)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())
    torch.manual_seed(5)
    assert same(net, first_network(config(seed=3, width=32), None, named("a", "b", "c")))
    assert not same(net, first_network(config(seed=4, width=32), None, named("a", "b", "c")))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_same_classes_keep_the_whole_network(batch_norm):
    before = start(batch_norm=batch_norm)
    net = first_network(config(), before, CLASSES)
    assert same(net, before.net)
    with torch.no_grad():
        net.head.weight.zero_()
    assert before.net.head.weight.any()


@pytest.mark.parametrize("names", list(itertools.permutations(["membrane", "new", "interior"])))
def test_known_classes_keep_their_row_and_new_ones_get_another(names):
    before = start()
    net = first_network(config(seed=1), before, named(*names))
    rows = {name: (net.head.weight[i], net.head.bias[i]) for i, name in enumerate(names)}
    for i, c in enumerate(before.card.classes):
        assert torch.equal(rows[c.name][0], before.net.head.weight[i])
        assert torch.equal(rows[c.name][1], before.net.head.bias[i])
    assert rows["new"][0].any()
    assert not any(torch.equal(rows["new"][0], row) for row in before.net.head.weight)
    body = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith("head.")}
    assert all(torch.equal(tensor, before.net.state_dict()[name]) for name, tensor in body.items())
    assert same(net, first_network(config(seed=1), before, named(*names)))
    assert not same(net, first_network(config(seed=2), before, named(*names)))


@pytest.mark.parametrize("before", [None, start()])
def test_the_random_state_of_torch_is_left_alone(before, monkeypatch):
    # With several GPUs torch warns where their state is touched too.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    state = torch.get_rng_state()
    first_network(config(seed=7), before, named("a"))
    assert torch.equal(torch.get_rng_state(), state)


# ---- steps


def planned(minutes: float, monkeypatch: pytest.MonkeyPatch, step: list[float], judging: float) -> int:
    """Steps on a machine on which trial steps and judging take these seconds."""
    now, took = [0.0], iter(step)

    def spend(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(plan.time, "perf_counter", lambda: now[0])
    learner = SimpleNamespace(learn=lambda batch, number: spend(next(took)), judge=lambda judged: spend(judging))
    crops = SimpleNamespace(batch=lambda number, size: (number, size))
    return steps_in(minutes, learner, crops, [], config(), lambda: False)


@pytest.mark.parametrize(
    ("minutes", "judging", "steps"),
    [
        (10, 0, 300),
        (10, 4, 250),  # 25 judgements take 100 s
        (10, 60, 150),  # judging is slow: at least half of the time is for steps
        (0.001, 0, 1),
    ],
)
def test_minutes_become_steps(minutes, judging, steps, monkeypatch):
    # The first step is slow, as everywhere, and one of the others was disturbed.
    assert planned(minutes, monkeypatch, [30, 2, 50, 1], judging) == steps


# ---- learning rate


def test_the_rate_is_the_higher_the_more_there_is_to_learn():
    assert peak_rate(None, known=False) > peak_rate(start(), known=False) > peak_rate(start(), known=True)
