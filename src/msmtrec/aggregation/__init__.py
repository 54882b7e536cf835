"""The server's algebra, on stacked vectors [K, P] and Gram matrices [K, K]. No models, no scenarios, no I/O.

`balance` does the same between the tasks of each scenario.
"""
