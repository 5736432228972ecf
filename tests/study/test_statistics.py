import math

import numpy as np
import pytest
from scipy import stats

from bnn_toolchain.study.statistics import difference, mean_interval, rank_test


def test_the_interval_of_a_mean_is_that_of_the_t_test():
    values = [0.91, 0.93, 0.9, 0.95]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(np.mean(values))


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_of_a_difference_excludes_0_where_welchs_test_rejects(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(1, 1, 4).tolist(), rng.normal(0, 0.3, 3).tolist()
    test = stats.ttest_ind(first, second, equal_var=False)
    found = difference(first, second)
    expected = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.low > 0 or found.high < 0) == (test.pvalue < 0.05)


def test_values_without_spread():
    assert difference([2, 2, 2], [1, 1, 1]).low == 1
    assert difference([2, 2, 2], [2, 2, 2]).low == 0
    assert math.isnan(mean_interval([1.0]).low) and math.isnan(difference([1.0], [2.0, 3.0]).high)


def test_ranks():
    first, second = [1, 2, 3, 4], [5, 6, 7, math.inf]
    later, p = rank_test(first, second)
    assert not later and p == pytest.approx(2 / math.comb(8, 4))  # this order or its mirror, of all there are
    assert rank_test(second, first) == (True, p)
    assert rank_test([2, 2, math.inf], [2, 2, math.inf])[1] == 1
    assert rank_test([1] * 3, [math.inf] * 3)[1] == pytest.approx(2 / math.comb(6, 3))  # three values say too little
    assert rank_test([1] * 11, [2] * 11) == (False, pytest.approx(0, abs=1e-4))
    assert not rank_test([math.inf] * 3, [math.inf] * 3)[1] < 0.05
