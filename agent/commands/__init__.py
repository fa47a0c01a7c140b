"""The commands of ``sundial``, by what they are about; ``agent.cli`` says which there are."""
