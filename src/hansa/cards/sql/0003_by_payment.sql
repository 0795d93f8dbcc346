-- Another issuer's card, or one that a program pays for its holder, is paid by a payment to the issuer's own payee.
alter table cards.fees
    drop constraint fees_way_known,
    add constraint fees_way_known check (way in ('', 'wallet', 'counter', 'payment'));
