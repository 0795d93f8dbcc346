-- Uses are let go of by their age. They are written in the order of time, so a few summaries do for finding the oldest.
create index uses_by_age on approval.uses using brin (at) with (autosummarize = true);
