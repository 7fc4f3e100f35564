"""A CSV file in, answers, a figure and a report out: what `python -m metarep_lib` runs.

options     what the command line says
csv_table   a file as cells, each with its line
columns     cells as numbers or as words
features    which columns are read, and words as 0 and 1
question    which rows teach and which are asked
held_out    the draws
answers     the network asked
quality     errors beside those of an answer that knows no features
figure      answers against targets
report      the words
files       what may be overwritten
run         all of it
"""
