from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField(model_name="customer", name="email", field=models.EmailField(max_length=254, null=True)),
        migrations.AddIndex(model_name="customer", index=models.Index(fields=["name"], name="customer_name")),
    ]
