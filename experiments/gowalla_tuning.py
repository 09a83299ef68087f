"""What experiments/gowalla.py is set to, chosen on the last tenth of each query's training list.

Source: recjax's own; in Gowalla's lists the test items are later ones (docs/results.md), so validation is, too.
Claim:  TODO
Run:    python launch.py --config=experiments/gowalla_tuning.py --config.data.path=data/gowalla
        --save=results/gowalla_tuning
Expect: TODO
"""

import dataclasses
from experiments import gowalla
from recjax import configs, plots
from recjax.study import Study
