"""A whole chat, played as the widget, the agent, the bot's engine and the back end, with stubs alone."""
