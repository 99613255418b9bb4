"""Ground that model/ and rl/ share; JAX. Importing any module of this room sets JAX up, once a process."""

from chunk_ppo_ros.core_jax.pytrees import keep_float32_products_exact, register_data_types

register_data_types()
keep_float32_products_exact()
