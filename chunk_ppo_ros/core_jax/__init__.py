"""Defines what model/ and rl/ share, with JAX. The import of any module here sets JAX up, once in a process."""

from chunk_ppo_ros.core_jax.pytrees import keep_float32_products_exact, register_data_types

register_data_types()
keep_float32_products_exact()
