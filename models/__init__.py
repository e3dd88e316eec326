"""What a model is: reading with it, making it, the text it reads and the folder it answers from."""
