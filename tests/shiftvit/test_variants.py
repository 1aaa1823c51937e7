import official
import pytest
import tensorflow as tf

from shiftvit.config import ModelConfig
from shiftvit.errors import ConfigError
from shiftvit.model import build_network
from shiftvit.variants import VARIANTS, variant

PUBLISHED = official.paper_variants()


def test_all_nine_published_variants_exist():
    assert len(VARIANTS) == 9 and set(VARIANTS) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_variants_have_the_published_dimensions(name):
    values = PUBLISHED[name]
    config = variant(name)

    assert config.dims == tuple(values["embed_dim"] * factor for factor in (1, 2, 4, 8))
    assert config.depths == tuple(values["depths"])
    assert (config.mlp_ratio, config.n_div) == (values["mlp_ratio"], values["n_div"])
    assert (config.num_classes, config.image_size, config.patch_size) == (1000, 224, 4)
    assert config.drop_path == ModelConfig().drop_path


@pytest.mark.parametrize("name", PUBLISHED)
def test_variants_have_exactly_the_published_number_of_weights(name):
    with tf.Graph().as_default():  # builds shapes without initialising any weight
        network = build_network(variant(name))

    assert network.count_params() == PUBLISHED[name]["params"]


def test_an_unknown_variant_is_refused_with_similar_names():
    with pytest.raises(ConfigError, match=r"unknown variant shiftvit_r4_tinny; did you mean .*shiftvit_r4_tiny"):
        variant("shiftvit_r4_tinny")
