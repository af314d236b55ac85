"""The bAbI tasks: questions about short stories, one task per skill of reasoning."""
