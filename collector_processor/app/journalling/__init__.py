"""The front process: requests become durable, spans become closed tasks, and these wait sealed for a worker.

`front` owns the journal, `sealing` closes tasks by its timers. Between services `shares` divides the journal, `holding`
keeps halted sources back, `withdrawal` erases somebody's data.
"""
