"""What a run will take, before anything is spent: bounds out of the flow, and what is to be expected out of plays."""
