"""Tail sampling: policies → which deep facets of a task are kept, with which probability. Pure.

`document` reads the policies, `Sampler` decides, `advance` makes the next state of what was seen, `admit` is the hard
cap, and `Simulation` answers what other policies would have kept.
"""

from collector_processor.sample.cap import admit as admit
from collector_processor.sample.decision import Sampler as Sampler
from collector_processor.sample.decision import with_decision as with_decision
from collector_processor.sample.document import default_document as default_document
from collector_processor.sample.document import read_document as read_document
from collector_processor.sample.policies import Policy as Policy
from collector_processor.sample.policies import SamplingConfig as SamplingConfig
from collector_processor.sample.simulate import Simulated as Simulated
from collector_processor.sample.simulate import Simulation as Simulation
from collector_processor.sample.window import advance as advance
from collector_processor.sample.window import total as total
