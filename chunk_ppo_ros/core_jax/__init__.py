"""What model/ and rl/ share; it uses JAX. The import of any module of this package sets JAX up, once per process."""

from chunk_ppo_ros.core_jax.pytrees import keep_float32_products_exact, register_data_types

register_data_types()
keep_float32_products_exact()
