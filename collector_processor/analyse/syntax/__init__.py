"""Syntax: what a change did to the programs that it touched, by their syntax trees before and after.

`changes` finds contents or a patch in what a task says, `grammars` knows the languages, `trees` turns a parse into a
tree that can be compared, `compare` matches two of them, `functions` measures functions and finds scaffolding,
`analyser` sums up and says what could not be seen.
"""

from collector_processor.analyse.syntax.analyser import SyntaxAnalyser

__all__ = ["SyntaxAnalyser"]
