"""Services: bills, fines, appointments, rail and the others, each stated as one value. None stands here yet."""
