"""Conversation: who said what in a task, in order and once, from whatever form its model calls carry messages in.

`messages` is the one form that all others become, `forms` reads the others, `exchanges` finds model calls and tool
runs among spans and log records, `threads` joins the calls' overlapping histories, `analyser` tells what is missing.
"""

from collector_processor.analyse.conversation.analyser import ConversationAnalyser, conversation_of

__all__ = ["ConversationAnalyser", "conversation_of"]
