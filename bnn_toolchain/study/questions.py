"""The questions, as data: what is compared, what the paper says about it, and what of that can be tested.

The paper is "An Empirical Study of Binary Neural Networks' Optimisation" (Alizadeh, Fernandez-Marques, Lane, Gal; ICLR
2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class QuestionName(StrEnum):
    """The questions by name."""

    OPTIMISERS = "optimisers"
    SECOND_MOMENT = "second-moment"
    CLIPPING = "clipping"
    TWO_STAGE = "two-stage"
    POOLING_ORDER = "pooling-order"
    BN_MOMENTUM = "bn-momentum"
    EARLY_STOPPING = "early-stopping"
    INIT_FROM_FLOAT = "init-from-float"
    BATCH_SIZE = "batch-size"


class Network(StrEnum):
    """What a question is asked on unless a recipe is named: the perceptron on MNIST or the VGG on CIFAR-10."""

    MLP = "mlp"
    VGG = "vgg"


class Budget(StrEnum):
    """How much a study may spend."""

    SMALL = "small"
    FULL = "full"


class Measure(StrEnum):
    """What is compared; its value says it in words."""

    ACCURACY = "test accuracy"
    EPOCHS = "epochs to the target"
    POSITIVE_SHARE = "share of +1 inputs"


@dataclass(frozen=True)
class TrainingPart:
    """A stage of training: its ``share`` of the epochs, and the fields of the stage that it sets."""

    share: float = 1.0
    stage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """One of the things compared: fields of the recipe that it sets, its stages, the first learning rates of its sweep.

    ``from_float`` starts from the trained float twin of the network.
    """

    name: str
    rates: tuple[float, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[TrainingPart, ...] = (TrainingPart(),)
    from_float: bool = False


@dataclass(frozen=True)
class Expectation:
    """The claim that ``higher`` has the greater mean ``measure`` than ``lower``, both names of settings."""

    higher: str
    lower: str
    measure: Measure = Measure.ACCURACY


@dataclass(frozen=True)
class Question:
    """A question; ``claim`` is the paper's, ``section`` its place there, ``expectations`` what can be tested of it."""

    name: QuestionName
    asks: str
    claim: str
    section: str
    network: Network
    settings: tuple[Setting, ...]
    expectations: tuple[Expectation, ...]


ADAM = (3e-3, 1e-2, 3e-2)
SGD = (1e-1, 3e-1, 1.0)
CLIPPED = {"activation_gradient": "clipped", "weight_gradient": "clipped", "latent_clip": True}
UNCLIPPED = {"activation_gradient": "plain", "weight_gradient": "plain", "latent_clip": False}


def _optimizer(**fields: Any) -> tuple[TrainingPart, ...]:
    return (TrainingPart(stage={"optimizer": fields}),)


def _beta2(*values: float) -> tuple[TrainingPart, ...]:
    """Adam with one second-moment decay after the other, each for the same share of the epochs."""
    return tuple(TrainingPart(1 / len(values), {"optimizer": {"name": "adam", "beta2": value}}) for value in values)


def _halves(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[TrainingPart, ...]:
    return TrainingPart(0.5, first), TrainingPart(0.5, second)


QUESTIONS = (
    Question(
        name=QuestionName.OPTIMISERS,
        asks="Which optimizers train binary networks?",
        claim="Methods that adapt the learning rate by a second moment (Adam, RMSprop, Adadelta) are crucial; SGD, "
        "with momentum or without, easily gets stuck.",
        section="abstract and section 3.1, impact of the optimiser",
        network=Network.MLP,
        settings=(
            Setting("adam", ADAM, parts=_optimizer(name="adam")),
            Setting("rmsprop", ADAM, parts=_optimizer(name="rmsprop")),
            Setting("adadelta", (0.3, 1.0, 3.0), parts=_optimizer(name="adadelta")),
            Setting("adagrad", ADAM, parts=_optimizer(name="adagrad")),
            Setting("sgd", SGD, parts=_optimizer(name="sgd")),
            Setting("sgd, momentum 0.9", (3e-2, 1e-1, 3e-1), parts=_optimizer(name="sgd", momentum=0.9)),
        ),
        expectations=(
            Expectation("adam", "sgd"),
            Expectation("adam", "sgd, momentum 0.9"),
            Expectation("rmsprop", "sgd, momentum 0.9"),
            Expectation("adadelta", "sgd, momentum 0.9"),
        ),
    ),
    Question(
        name=QuestionName.SECOND_MOMENT,
        asks="How fast should Adam forget old squared gradients?",
        claim="A hypothesis: early training wants more averaging, late training wants noisier steps that explore.",
        section="section 3.1, impact of the optimiser",
        network=Network.MLP,
        settings=(
            Setting("beta2 0.9", ADAM, parts=_beta2(0.9)),
            Setting("beta2 0.99", ADAM, parts=_beta2(0.99)),
            Setting("beta2 0.999", ADAM, parts=_beta2(0.999)),
            Setting("beta2 0.999, then 0.9", ADAM, parts=_beta2(0.999, 0.9)),
            Setting("beta2 0.9, then 0.999", ADAM, parts=_beta2(0.9, 0.999)),
        ),
        expectations=(
            Expectation("beta2 0.999, then 0.9", "beta2 0.9, then 0.999"),
            Expectation("beta2 0.999, then 0.9", "beta2 0.999"),
        ),
    ),
    Question(
        name=QuestionName.CLIPPING,
        asks="What do the three clips do?",
        claim="Clipping gradients and weights slows training down, and ends at a better accuracy.",
        section="section 3.2, impact of gradient and weight clipping",
        network=Network.MLP,
        settings=(
            Setting("all clips", ADAM, parts=(TrainingPart(stage=CLIPPED),)),
            Setting("no clip", ADAM, parts=(TrainingPart(stage=UNCLIPPED),)),
            Setting(
                "activation gradient", ADAM, parts=(TrainingPart(stage=UNCLIPPED | {"activation_gradient": "clipped"}),)
            ),
            Setting("weight gradient", ADAM, parts=(TrainingPart(stage=UNCLIPPED | {"weight_gradient": "clipped"}),)),
            Setting("latent weights", ADAM, parts=(TrainingPart(stage=UNCLIPPED | {"latent_clip": True}),)),
        ),
        expectations=(
            Expectation("all clips", "no clip"),
            Expectation("all clips", "no clip", Measure.EPOCHS),
        ),
    ),
    Question(
        name=QuestionName.TWO_STAGE,
        asks="Does it help to clip nothing first, and all in a second stage?",
        claim="A first stage without clips and with a higher learning rate, then a second one with both clips, is "
        "faster and as accurate as clipping throughout, and better than never clipping.",
        section="section 3.2, impact of gradient and weight clipping",
        network=Network.MLP,
        settings=(
            Setting("clipped throughout", ADAM, parts=_halves(CLIPPED, CLIPPED)),
            Setting("unclipped, then clipped", ADAM, parts=_halves(UNCLIPPED, CLIPPED)),
            Setting("unclipped throughout", ADAM, parts=_halves(UNCLIPPED, UNCLIPPED)),
        ),
        expectations=(
            Expectation("clipped throughout", "unclipped, then clipped", Measure.EPOCHS),
            Expectation("unclipped, then clipped", "unclipped throughout"),
        ),
    ),
    Question(
        name=QuestionName.POOLING_ORDER,
        asks="Where in a block does pooling belong?",
        claim="Maximum pooling after the sign makes nearly all values +1, and costs accuracy: pool before it.",
        section="section 3, on pooling",
        network=Network.VGG,
        settings=tuple(
            Setting(order, ADAM, recipe={"model": {"order": order}})
            # bn-sign-conv-pool is the network of conv-pool-bn-sign, only cut into blocks elsewhere
            for order in ("conv-pool-bn-sign", "conv-bn-sign-pool")
        ),
        expectations=(
            Expectation("conv-pool-bn-sign", "conv-bn-sign-pool"),
            Expectation("conv-bn-sign-pool", "conv-pool-bn-sign", Measure.POSITIVE_SHARE),
        ),
    ),
    Question(
        name=QuestionName.BN_MOMENTUM,
        asks="How fast should batch norm's averages move in the second half of training?",
        claim="Reducing the averaging rate of batch norm in the second stage helps.",
        section="section 3, on batch normalisation, and the summary of the procedure",
        network=Network.VGG,
        settings=tuple(
            Setting(name, ADAM, parts=_halves({"batch_norm_momentum": 0.1}, {"batch_norm_momentum": second}))
            for name, second in (("0.1 throughout", 0.1), ("0.1, then 0.01", 0.01), ("0.1, then frozen", 0.0))
        ),
        expectations=(
            Expectation("0.1, then 0.01", "0.1 throughout"),
            Expectation("0.1, then frozen", "0.1 throughout"),
        ),
    ),
    Question(
        name=QuestionName.EARLY_STOPPING,
        asks="What does early stopping cost?",
        claim="Do not stop early: validation accuracy stands still for long and then improves.",
        section="the summary of the procedure",
        network=Network.MLP,
        settings=(
            Setting("all epochs", ADAM),
            Setting("patience 1", ADAM, parts=(TrainingPart(stage={"patience": 1}),)),
            Setting("patience 2", ADAM, parts=(TrainingPart(stage={"patience": 2}),)),
        ),
        expectations=(Expectation("all epochs", "patience 1"), Expectation("all epochs", "patience 2")),
    ),
    Question(
        name=QuestionName.INIT_FROM_FLOAT,
        asks="Is a trained float network a better start than random weights?",
        claim="A binary network trained end to end from random weights needs no trained float network, which only "
        "makes the start faster.",
        section="section 3, on training end to end",
        network=Network.MLP,
        settings=(Setting("from random weights", ADAM), Setting("from the float network", ADAM, from_float=True)),
        expectations=(Expectation("from random weights", "from the float network", Measure.EPOCHS),),
    ),
    Question(
        name=QuestionName.BATCH_SIZE,
        asks="Which batch size trains best in the same number of epochs?",
        claim="It follows from the hypothesis of section 3.1, that noisy steps explore better, that small batches win.",
        section="section 3.1, impact of the optimiser",
        network=Network.MLP,
        settings=tuple(Setting(f"batch {size}", ADAM, recipe={"batch_size": size}) for size in (50, 100, 200, 400)),
        expectations=(Expectation("batch 50", "batch 400"), Expectation("batch 100", "batch 400")),
    ),
)
"""All questions."""


def question_of(name: QuestionName) -> Question:
    """The question of that name."""
    return next(question for question in QUESTIONS if question.name is name)
