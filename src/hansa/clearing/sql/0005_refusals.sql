-- A window's rows come by the ten thousand in one statement: whether they may come is asked once for all of them. The
-- same question says that their window is there, which a foreign key would ask for each row.
drop trigger no_late_positions on clearing.positions;
drop trigger no_late_window_tallies on clearing.window_tallies;
alter table clearing.positions drop constraint positions_window_id_fkey;
alter table clearing.window_tallies drop constraint window_tallies_window_id_fkey;

create function clearing.refuse_additions() returns trigger language plpgsql as $$
declare
    late text;
begin
    select a.window_id into late
    from (select distinct window_id from added) a
    left join clearing.windows w using (window_id)
    left join clearing.closings c using (window_id)
    where w.window_id is null or c.window_id is not null
    limit 1;
    if late is not null then
        raise exception 'window % is closed, or is none: nothing can be added to clearing.%', late, tg_table_name
            using errcode = 'restrict_violation', hint = 'Book it; it clears with the window in which it is booked.';
    end if;
    return null;
end
$$;

create trigger no_late_positions after insert on clearing.positions
    referencing new table as added for each statement execute function clearing.refuse_additions();
create trigger no_late_window_tallies after insert on clearing.window_tallies
    referencing new table as added for each statement execute function clearing.refuse_additions();
