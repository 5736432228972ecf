import pytest

from bnn_toolchain.errors import UsageError
from bnn_toolchain.study.questions import QUESTIONS, Measure, Network, QuestionName, question_of
from bnn_toolchain.study.recipes import base_of, code_version, float_recipe_of, key_of, recipe_of
from bnn_toolchain.training.recipe import load_recipe


def test_every_name_has_its_question():
    assert [question.name for question in QUESTIONS] == list(QuestionName)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name.value)
@pytest.mark.parametrize("budget", ["small", "full"])
def test_every_setting_is_a_recipe_of_its_own(question, budget):
    base = base_of(question.network, None, budget)
    recipes = [recipe_of(base, setting, 0.01, 1) for setting in question.settings]
    distinct = {key_of(recipe) for recipe in recipes} | {s.name for s in question.settings if s.from_float}
    assert len(distinct) == len({setting.name for setting in question.settings})
    for recipe in recipes:
        assert sum(stage.epochs for stage in recipe.stages) == base.epochs
        assert recipe.seed == 1 and recipe.stages[0].optimizer.lr == 0.01
        assert recipe.stages[-1].schedule.lr_final == pytest.approx(1e-4)
        for before, after in zip(recipe.stages, recipe.stages[1:], strict=False):
            assert before.schedule.lr_final == after.optimizer.lr  # one curve, whatever else changes


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name.value)
def test_expectations_are_about_settings_of_the_question(question):
    names = {setting.name for setting in question.settings}
    assert question.expectations
    for each in question.expectations:
        assert {each.higher, each.lower} <= names and each.higher != each.lower
        assert question.network is Network.VGG or each.measure is not Measure.POSITIVE_SHARE


def test_what_a_setting_changes():
    base = base_of(Network.MLP, None, "small")
    two_stage = question_of(QuestionName.TWO_STAGE).settings[1]
    first, second = recipe_of(base, two_stage, 0.02, 0).stages
    assert (first.latent_clip, first.activation_gradient, first.weight_gradient) == (False, "plain", "plain")
    assert (second.latent_clip, second.activation_gradient, second.weight_gradient) == (True, "clipped", "clipped")
    assert second.optimizer.lr == pytest.approx(0.002)
    sgd = recipe_of(base, question_of(QuestionName.OPTIMISERS).settings[4], 0.1, 0).stages[0].optimizer
    assert (sgd.name, sgd.momentum, sgd.beta2) == ("sgd", 0.0, None)


def test_a_named_recipe_is_cut_to_a_small_budget_and_left_whole_by_a_full_one(recipe):
    assert base_of(Network.MLP, "mnist-mlp", "small").recipe.data.limit == 5556
    assert base_of(Network.MLP, "mnist-mlp", "small").epochs == 8
    full = base_of(Network.MLP, "digits", "full")
    assert full.epochs == sum(stage.epochs for stage in load_recipe("digits").stages)
    assert full.recipe.data.limit is None and full.recipe.model.name == "vgg"


def test_the_float_network_is_the_same_without_bits():
    base = base_of(Network.MLP, None, "small")
    model = float_recipe_of(base).model
    assert (model.weights, model.activation, model.hidden) == ("float", "relu", base.recipe.model.hidden)


def test_a_run_is_named_by_its_recipe():
    base = base_of(Network.MLP, None, "small")
    setting = question_of(QuestionName.EARLY_STOPPING).settings[0]
    keys = {key_of(recipe_of(base, setting, rate, seed)) for rate in (0.01, 0.02) for seed in (0, 1)}
    assert len(keys) == 4
    assert key_of(recipe_of(base, setting, 0.01, 0)) in keys


def test_a_run_is_named_by_the_code(monkeypatch):
    base = base_of(Network.MLP, None, "small")
    recipe = recipe_of(base, question_of(QuestionName.EARLY_STOPPING).settings[0], 0.01, 0)
    before = key_of(recipe)
    monkeypatch.setattr("bnn_toolchain.study.recipes.code_version", lambda: "another")
    assert key_of(recipe) != before and len(code_version()) == 16


def test_recipes_that_cannot_be_studied(tmp_path):
    text = "data: {source: mnist5k}\nmodel: {name: mlp}\noptimizer: {lr: 0.01}\n"
    path = tmp_path / "endless.yaml"
    path.write_text(text + "patience: 3\n")
    with pytest.raises(UsageError, match="give every stage its epochs"):
        base_of(Network.MLP, str(path), "small")
    path.write_text(text + "epochs: 3\nreal_optimizer: {lr: 0.01}\n")
    with pytest.raises(UsageError, match="leave real_optimizer out"):
        base_of(Network.MLP, str(path), "small")
