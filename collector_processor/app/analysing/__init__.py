"""Deep analysis of the tasks that were chosen: `analysis` in the front, `analyst` in processes of their own."""
