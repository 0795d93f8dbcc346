-- Where a line runs between its stops, for drawing it: latitude and longitude by turns, thinned. Empty where no feed says.
alter table atlas.lines add column shape double precision[] not null default '{}'
    constraint lines_shape_in_pairs check (cardinality(shape) % 2 = 0);
