"""The vocabulary: frozen types that travel between the stages. Read it and you know the system.

`stages` follows the way of the data, `facts` is what spans say, `record` is what comes out.
"""
