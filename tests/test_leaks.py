"""A split made to leak in each way is refused, with what leaked named by raw ids; every split of ours passes."""

import numpy as np
import pytest

from recjax import configs, fields, leaks, preparation, splits
from recjax.errors import InputError
from recjax.interactions import arrange, take
from recjax.types import HeldOut, Promise, Split

PUBLISHED = ("ncf", "lightgcn", "lightgcn_tuning")  # read from files: test_ncf.py, test_lists.py
FAMILY = {name: one for name, one in fields.members(splits).items() if name not in PUBLISHED}


def joined(one, *more):
    """The interactions of all, in order."""
    parts = [np.concatenate(part) if part[0] is not None else None for part in zip(one, *more, strict=True)]
    return arrange(*parts, repeats=True)


def plus(dataset, *more):
    return dataset._replace(interactions=joined(dataset.interactions, *more))


def first(one):
    return take(one, np.arange(1))


def with_repeats(dataset):
    """The same, with each tenth interaction twice."""
    again = take(dataset.interactions, np.arange(0, len(dataset.interactions.query), 10))
    return plus(dataset._replace(repeats=True), again._replace(time=again.time + 1))


def with_impressions(dataset):
    """The same; every third interaction is an impression instead."""
    every = np.arange(len(dataset.interactions.query))
    shown, kept = (take(dataset.interactions, every[mask]) for mask in (every % 3 == 0, every % 3 > 0))
    return dataset._replace(interactions=kept, impressions=shown)


def with_times_forgotten(dataset):
    data = with_impressions(dataset)
    return data._replace(
        interactions=data.interactions._replace(time=None), impressions=data.impressions._replace(time=None)
    )


def test_what_is_new_was_not_shown_in_vain_in_training_either(dataset):
    data = with_impressions(dataset)
    split = splits.cold_items(data, configs.Data(share=0.2))
    new = np.union1d(split.test.relevant.item, split.validation.relevant.item)
    kept = data.impressions.item[np.isin(data.impressions.query, split.train.interactions.query)]
    np.testing.assert_array_equal(split.train.impressions.item, kept[~np.isin(kept, new)])
    assert np.isin(kept, new).any()
    leaking = split._replace(train=split.train._replace(impressions=first(split.test.relevant)))
    assert "training has been shown in vain what test promises as new, the item of (" in refused(data, leaking)


CHANGES = [lambda dataset: dataset, with_repeats, with_impressions, with_times_forgotten]


@pytest.mark.parametrize("change", CHANGES, ids=("plain", "repeats", "impressions", "no times"))
@pytest.mark.parametrize("name", FAMILY)
def test_our_splits_pass(name, change, dataset):
    data = change(dataset)
    if name in ("global_time", "last_out", "last_out_ring") and data.interactions.time is None:
        pytest.skip("it is by time")
    share = 0.05 if name == "global_time" else 0.2  # no query of the small world spans more
    leaks.check(data, FAMILY[name](data, configs.Data(share=share)), name)


def training_meets_the_test_part(split):
    return split._replace(train=plus(split.train, first(split.test.relevant)))


def training_meets_validation(split):
    return split._replace(train=plus(split.train, first(split.validation.relevant)))


def the_label_is_in_its_history(split):
    known = plus(split.test.known, first(split.test.relevant))
    return split._replace(test=split.test._replace(known=known))


def validation_knows_the_test_part(split):
    known = plus(split.validation.known, first(split.test.relevant))
    return split._replace(validation=split.validation._replace(known=known))


def a_pair_is_in_both_parts(split):
    relevant = joined(split.test.relevant, first(split.validation.relevant))
    known = split.validation.known
    return split._replace(test=HeldOut(known, relevant))


def training_knows_more_than_the_judgement(split):
    known = split.test.known
    fewer = take(known.interactions, np.arange(1, len(known.interactions.query)))
    return split._replace(test=split.test._replace(known=known._replace(interactions=fewer)))


def a_history_goes_on_after_its_label(split):
    relevant = split.test.relevant
    return split._replace(test=split.test._replace(relevant=relevant._replace(time=relevant.time - 10**9)))


def the_label_was_shown_in_vain(split):
    known = split.test.known._replace(impressions=first(split.test.relevant))
    return split._replace(test=split.test._replace(known=known))


LEAKS = {  # what is done to a split that holds its promise, and what is told
    training_meets_the_test_part: "interactions of test are in training too",
    training_meets_validation: "interactions of validation are in training too",
    the_label_is_in_its_history: "interactions of test are in their own history",
    validation_knows_the_test_part: "interactions of test are in what is known at validation",
    a_pair_is_in_both_parts: "interactions of test are in validation too",
    training_knows_more_than_the_judgement: "training has interactions that are not known at test",
    a_history_goes_on_after_its_label: "training holds what the query did after interactions of test",
    the_label_was_shown_in_vain: "interactions of test were shown in vain before",
}


def refused(dataset, split):
    with pytest.raises(InputError) as caught:
        leaks.check(dataset, split, "mine")
    return str(caught.value)


@pytest.mark.parametrize("leak", LEAKS, ids=lambda one: one.__name__)
def test_a_split_that_leaks_is_refused(leak, dataset, split):
    found = refused(dataset, leak(split))
    assert found.startswith(f"data.split='mine' leaks: {LEAKS[leak]} (")
    assert "query query_" in found
    assert " item item_" in found
    assert found.endswith("; type for example --config.data.split=last_out, or mend the split")


@pytest.mark.parametrize("name", ["last_out", "share_out"])
def test_with_repeats_a_pair_may_occur_as_often_as_in_the_data(name, dataset):
    data = with_repeats(dataset)
    split = FAMILY[name](data, configs.Data(share=0.2))
    leaks.check(data, split, name)
    assert "interactions of test are in training too" in refused(data, training_meets_the_test_part(split))


def test_the_examples_are_the_first_three(dataset, split):
    found = refused(dataset, split._replace(train=plus(split.train, split.test.relevant)))
    relevant, names = split.test.relevant, dataset.vocabularies
    three = ", ".join(
        f"query {names['query'][query]} item {names['item'][item]}"
        for query, item in zip(relevant.query[:3], relevant.item[:3], strict=True)
    )
    assert f"are in training too ({len(relevant.query)}: {three}, …); type" in found


def test_times_that_a_drawn_split_keeps_are_refused(dataset):
    """`share_out` forgets them; with them a history tells of what came after its label."""
    times, split = dataset.interactions, splits.share_out(dataset, configs.Data(share=0.2))
    time = dict(zip(zip(times.query.tolist(), times.item.tolist(), strict=True), times.time.tolist(), strict=True))

    def timed(one):
        found = [time[pair] for pair in zip(one.query.tolist(), one.item.tolist(), strict=True)]
        return arrange(one.query, one.item, one.weight, np.array(found), repeats=True)

    def part(held):
        return HeldOut(held.known._replace(interactions=timed(held.known.interactions)), timed(held.relevant))

    train = split.train._replace(interactions=timed(split.train.interactions))
    found = refused(dataset, Split(train, part(split.validation), part(split.test)))
    assert "training holds what the query did after interactions of validation" in found


def test_one_moment_for_all_is_held_to_it(dataset, split):
    """`last_out` holds each query's order, and not that of all."""
    found = refused(dataset, split._replace(promise=Promise(order="global")))
    assert "training goes on after interactions of validation (which promises one moment for all)" in found


@pytest.mark.parametrize("side", ["query", "item"])
def test_what_is_promised_as_new_must_be(side, dataset, split):
    found = refused(dataset, split._replace(promise=Promise(cold=side)))
    assert f"training has met what validation promises as new, the {side} of (" in found


def test_a_split_of_ones_own_is_checked_before_a_run(config, dataset, tmp_path, monkeypatch):
    (tmp_path / "leaky.py").write_text(
        "from recjax import splits\n"
        "def split(dataset, settings):\n"
        "    found = splits.last_out(dataset, settings)\n"
        "    return found._replace(train=dataset)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"data.split='leaky:split' leaks: interactions of validation are in training"):
        preparation.prepare(fields.override(config, {"data.split": "leaky:split"}))
