"""What the constructed forward pass costs beside solvers people would use: `make bench`.

    contenders  who takes part, on which problem, and what counts as the right answer
    measure     time and peak memory of one contender on one problem, in a process of its own
    floor       how many operations and bytes a forward pass needs, and what this machine can do
    exponential the same for the exponential kernel
    your_data   what `metarep_lib.solve` costs on real tables beside scikit-learn
    run         the command line and the tables
"""
